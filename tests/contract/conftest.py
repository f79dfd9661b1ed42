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

from admin.quota_store import DynamoQuotaStore
from admin.recount import QuotaStore
from dev.fakes.cleanup_repository import MemoryCleanupRepository
from dev.fakes.clock import START, SettableClock
from dev.fakes.metadata_table import MemoryTable
from dev.fakes.object_store import MemoryObjectStore
from dev.fakes.permits import MemoryPermitPool
from dev.fakes.quotas import MemoryQuotaStore
from dev.fakes.upload_repository import MemoryUploadRepository
from dev.testing.template import create_bucket, create_table
from ferry.aws.cleanup_repository import DynamoCleanupRepository
from ferry.aws.dynamo import Table
from ferry.aws.objects import S3ObjectStore
from ferry.aws.permits import DynamoPermitPool
from ferry.aws.session import AwsSession
from ferry.aws.upload_repository import DynamoUploadRepository
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.object_store import ObjectStore
from ferry.ports.permit_pool import PermitPool
from ferry.ports.upload_repository import UploadRepository
from tests.contract.sending import Sender, make_fake_sender, send_over_http

MEMORY, MOTO = "memory", "moto"
SEAWEEDFS, LOCALSTACK, DYNAMODB_LOCAL = "seaweedfs", "localstack", "dynamodb-local"
SERVERS_BY_FIXTURE = {
    "repositories": (DYNAMODB_LOCAL,),
    "permit_pool": (DYNAMODB_LOCAL,),
    "store": (SEAWEEDFS, LOCALSTACK),
}
"""The servers that can stand in for a port's service, by the fixture that gives the port."""

SERVICE_BY_FIXTURE = {"repositories": "dynamodb", "permit_pool": "dynamodb", "store": "s3"}


def environment_variable(server: str) -> str:
    """Where the environment has the address of a server."""
    return "FERRY_TEST_" + server.upper().replace("-", "_")


@dataclass(frozen=True)
class StoreFixture:
    """An object store under test, and how a client out there sends to its presigned URLs."""

    objects: ObjectStore
    send: Sender


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proves(*backends): only these backends are strict enough for this test")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, servers in SERVERS_BY_FIXTURE.items():
        if fixture in metafunc.fixturenames:
            backends = [MEMORY, MOTO, *(server for server in servers if environment_variable(server) in os.environ)]
            marker = metafunc.definition.get_closest_marker("proves")
            chosen = [name for name in backends if marker is None or name in marker.args]
            metafunc.parametrize(fixture, chosen, indirect=True)


@dataclass(frozen=True)
class Repositories:
    """Every port over one empty metadata table."""

    uploads: UploadRepository
    cleanup: CleanupRepository
    quota_store: QuotaStore


@pytest.fixture
def repositories(request: pytest.FixtureRequest) -> Iterator[Repositories]:
    """The repositories of one backend, over one empty table."""
    if request.param == MEMORY:
        rows = MemoryTable()
        yield Repositories(MemoryUploadRepository(rows), MemoryCleanupRepository(rows), MemoryQuotaStore(rows))
        return
    with backend_table(request, "repositories") as table:
        clock = SettableClock(START)
        yield Repositories(
            DynamoUploadRepository(table, clock),
            DynamoCleanupRepository(table, clock),
            DynamoQuotaStore(table),
        )


@pytest.fixture
def repository(repositories: Repositories) -> UploadRepository:
    """The upload repository of `repositories`."""
    return repositories.uploads


@pytest.fixture
def cleanup_repository(repositories: Repositories) -> CleanupRepository:
    """The cleanup repository of `repositories`."""
    return repositories.cleanup


@pytest.fixture
def quota_store(repositories: Repositories) -> QuotaStore:
    """The quota store of `repositories`."""
    return repositories.quota_store


@pytest.fixture
def permit_pool(request: pytest.FixtureRequest) -> Iterator[PermitPool]:
    """A pool of three permits."""
    if request.param == MEMORY:
        yield MemoryPermitPool(3)
        return
    with backend_table(request, "permit_pool") as table:
        yield DynamoPermitPool(table, 3)


@pytest.fixture
def store(request: pytest.FixtureRequest) -> Iterator[StoreFixture]:
    """An empty object store."""
    if request.param == MEMORY:
        objects = MemoryObjectStore(SettableClock())
        yield StoreFixture(objects, make_fake_sender(objects))
        return
    with backend_session(request, "store") as session:
        bucket = f"bucket-{uuid.uuid4().hex}"
        create_bucket(session.s3, bucket)
        yield StoreFixture(S3ObjectStore(session.s3, bucket), send_over_http)


@pytest.fixture
def objects(store: StoreFixture) -> ObjectStore:
    """The port alone."""
    return store.objects


@cache
def _moto_session() -> AwsSession:
    """Clients take long to make, and every `mock_aws` catches those of the one before."""
    return AwsSession({})


@contextmanager
def backend_session(request: pytest.FixtureRequest, fixture: str) -> Iterator[AwsSession]:
    """Clients of the backend that a test was generated for."""
    if request.param == MOTO:
        with mock_aws():
            yield _moto_session()
        return
    yield AwsSession({SERVICE_BY_FIXTURE[fixture]: os.environ[environment_variable(request.param)]})


@contextmanager
def backend_table(request: pytest.FixtureRequest, fixture: str) -> Iterator[Table]:
    """An empty metadata table in the backend that a test was generated for."""
    with backend_session(request, fixture) as session:
        name = f"metadata-{uuid.uuid4().hex}"
        create_table(session.dynamodb, "MetadataTable", name)
        yield Table(session.dynamodb, name)
        session.dynamodb.delete_table(TableName=name)
