"""The backends that each port's suite runs over.

Always: the fake, and the adapter over moto. With FERRY_TEST_SEAWEEDFS, FERRY_TEST_LOCALSTACK or
FERRY_TEST_DYNAMODB_LOCAL in the environment also the adapter over the server at that address (`make test-backends`
starts all three).

None of them is AWS: each is laxer or stricter somewhere. A test of what some do not have says so with
`@pytest.mark.proves(...)`, naming the backends that prove it; it is not generated for others.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import pytest
from moto import mock_aws

from ferry.aws.ledger import DynamoLedger
from ferry.aws.objects import S3Objects
from ferry.aws.seats import DynamoSeats
from ferry.aws.session import AwsSession
from ferry.outbound import Seats
from ferry.ports import Ledger, ObjectStore
from tests.contract.sending import Sender, sender_over_http, sender_to_fake
from tests.fakes.clock import START, SettableClock
from tests.fakes.ledger import MemoryLedger
from tests.fakes.objects import MemoryObjects
from tests.fakes.seats import MemorySeats
from tests.support.template import make_bucket, make_table

MEMORY, MOTO = "memory", "moto"
SEAWEEDFS, LOCALSTACK, DYNAMODB_LOCAL = "seaweedfs", "localstack", "dynamodb-local"
SERVERS = {"ledger": (DYNAMODB_LOCAL,), "seats": (DYNAMODB_LOCAL,), "store": (SEAWEEDFS, LOCALSTACK)}
"""The servers that can stand in for a port's service, by the fixture that gives the port."""

SERVICES = {"ledger": "dynamodb", "seats": "dynamodb", "store": "s3"}


def variable(server: str) -> str:
    """Where the environment has the address of a server."""
    return "FERRY_TEST_" + server.upper().replace("-", "_")


@dataclass(frozen=True)
class Store:
    """An object store under test, and how a client out there sends to its presigned URLs."""

    objects: ObjectStore
    send: Sender


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proves(*backends): only these backends are strict enough for this test")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, servers in SERVERS.items():
        if fixture in metafunc.fixturenames:
            backends = [MEMORY, MOTO, *(server for server in servers if variable(server) in os.environ)]
            marker = metafunc.definition.get_closest_marker("proves")
            chosen = [name for name in backends if marker is None or name in marker.args]
            metafunc.parametrize(fixture, chosen, indirect=True)


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """An empty ledger."""
    if request.param == MEMORY:
        yield MemoryLedger()
        return
    with backend(request, "ledger") as session:
        table = f"ledger-{uuid.uuid4().hex}"
        make_table(session.dynamodb, "LedgerTable", table)
        yield DynamoLedger(session.dynamodb, table, SettableClock(START))
        session.dynamodb.delete_table(TableName=table)


@pytest.fixture
def seats(request: pytest.FixtureRequest) -> Iterator[Seats]:
    """Three of them."""
    if request.param == MEMORY:
        yield MemorySeats(3)
        return
    with backend(request, "seats") as session:
        table = f"ledger-{uuid.uuid4().hex}"
        make_table(session.dynamodb, "LedgerTable", table)
        yield DynamoSeats(session.dynamodb, table, 3)
        session.dynamodb.delete_table(TableName=table)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty object store."""
    if request.param == MEMORY:
        objects = MemoryObjects(SettableClock())
        yield Store(objects, sender_to_fake(objects))
        return
    with backend(request, "store") as session:
        bucket = f"bucket-{uuid.uuid4().hex}"
        make_bucket(session.s3, bucket)
        yield Store(S3Objects(session.s3, bucket), sender_over_http)


@pytest.fixture
def objects(store: Store) -> ObjectStore:
    """The port alone."""
    return store.objects


@cache
def _moto_session() -> AwsSession:
    """Clients take long to make, and every `mock_aws` catches those of the one before."""
    return AwsSession({})


@contextmanager
def backend(request: pytest.FixtureRequest, fixture: str) -> Iterator[AwsSession]:
    """Clients of the backend that a test was generated for."""
    if request.param == MOTO:
        with mock_aws():
            yield _moto_session()
        return
    yield AwsSession({SERVICES[fixture]: os.environ[variable(request.param)]})
