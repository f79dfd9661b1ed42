"""The backends that the suite of each port runs on.

Always: the fake in memory, and the adapter on moto. If FERRY_TEST_SEAWEEDFS, FERRY_TEST_LOCALSTACK or
FERRY_TEST_DYNAMODB_LOCAL contains the address of a server, also the adapter on that server (`make test-backends`
starts all three).

No backend behaves exactly like AWS. A test that some backends cannot pass names those that can with
`@pytest.mark.proves(...)`, and runs on these alone.
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
from dev.fakes.clock import START_MS, SettableClock
from dev.fakes.file_repository import MemoryFileRepository
from dev.fakes.link_repository import MemoryLinkRepository
from dev.fakes.metadata_table import MemoryTable
from dev.fakes.object_store import MemoryObjectStore
from dev.fakes.permits import MemoryPermitPool
from dev.fakes.quotas import MemoryQuotaStore
from dev.fakes.sequential_repository import MemorySequentialRepository
from dev.fakes.upload_repository import MemoryUploadRepository
from dev.testing.template import create_bucket, create_table
from ferry.aws.cleanup_repository import DynamoCleanupRepository
from ferry.aws.dynamo import Table
from ferry.aws.file_repository import DynamoFileRepository
from ferry.aws.link_repository import DynamoLinkRepository
from ferry.aws.objects import S3ObjectStore
from ferry.aws.permits import DynamoPermitPool
from ferry.aws.sequential_repository import DynamoSequentialRepository
from ferry.aws.session import AwsSession
from ferry.aws.upload_repository import DynamoUploadRepository
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.file_repository import FileRepository
from ferry.ports.link_repository import LinkRepository
from ferry.ports.object_store import ObjectStore
from ferry.ports.permit_pool import PermitPool
from ferry.ports.sequential_repository import SequentialRepository
from ferry.ports.upload_repository import UploadRepository
from tests.contract.presigned_requests import Sender, make_fake_sender, send_over_http

MEMORY, MOTO = "memory", "moto"
SEAWEEDFS, LOCALSTACK, DYNAMODB_LOCAL = "seaweedfs", "localstack", "dynamodb-local"
SERVERS_BY_FIXTURE = {
    "repositories": (DYNAMODB_LOCAL,),
    "permit_pool": (DYNAMODB_LOCAL,),
    "store": (SEAWEEDFS, LOCALSTACK),
}
"""The servers that emulate the AWS service of a port, by the port's fixture."""

SERVICE_BY_FIXTURE = {"repositories": "dynamodb", "permit_pool": "dynamodb", "store": "s3"}


def environment_variable(server: str) -> str:
    """Return the name of the environment variable with the address of a server."""
    return "FERRY_TEST_" + server.upper().replace("-", "_")


@dataclass(frozen=True)
class StoreFixture:
    """An object store under test."""

    objects: ObjectStore
    """The port."""

    send: Sender
    """Sends a client's request to a presigned URL of the store."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proves(*backends): run on these backends alone")
    config.addinivalue_line("markers", "large: makes a thousand rows or objects; on moto, a stress test")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, servers in SERVERS_BY_FIXTURE.items():
        if fixture in metafunc.fixturenames:
            backends = [MEMORY, MOTO, *(server for server in servers if environment_variable(server) in os.environ)]
            marker = metafunc.definition.get_closest_marker("proves")
            chosen = [name for name in backends if marker is None or name in marker.args]
            is_large = metafunc.definition.get_closest_marker("large") is not None
            params = [
                pytest.param(name, marks=[pytest.mark.stress] if is_large and name == MOTO else []) for name in chosen
            ]
            metafunc.parametrize(fixture, params, indirect=True)


@dataclass(frozen=True)
class Repositories:
    """The ports of one metadata table."""

    uploads: UploadRepository
    """Uploads."""

    files: FileRepository
    """Finished files."""

    sequential: SequentialRepository
    """Sequential uploads."""

    cleanup: CleanupRepository
    """Cleanup tasks."""

    quota_store: QuotaStore
    """Quotas, as an operator changes them."""

    links: LinkRepository
    """Links."""


@pytest.fixture
def repositories(request: pytest.FixtureRequest) -> Iterator[Repositories]:
    """The ports of an empty metadata table."""
    if request.param == MEMORY:
        memory = MemoryTable()
        yield Repositories(
            MemoryUploadRepository(memory),
            MemoryFileRepository(memory),
            MemorySequentialRepository(memory),
            MemoryCleanupRepository(memory),
            MemoryQuotaStore(memory),
            MemoryLinkRepository(memory),
        )
        return
    with backend_table(request, "repositories") as table:
        clock = SettableClock(START_MS)
        yield Repositories(
            DynamoUploadRepository(table, clock),
            DynamoFileRepository(table),
            DynamoSequentialRepository(table),
            DynamoCleanupRepository(table, clock),
            DynamoQuotaStore(table),
            DynamoLinkRepository(table),
        )


@pytest.fixture
def repository(repositories: Repositories) -> UploadRepository:
    """The upload repository of `repositories`."""
    return repositories.uploads


@pytest.fixture
def file_repository(repositories: Repositories) -> FileRepository:
    """The file repository of `repositories`."""
    return repositories.files


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
    """The port of `store`."""
    return store.objects


@cache
def _moto_session() -> AwsSession:
    """Return the session for moto. Creating clients is slow, and each `mock_aws` intercepts existing ones."""
    return AwsSession({})


@contextmanager
def backend_session(request: pytest.FixtureRequest, fixture: str) -> Iterator[AwsSession]:
    """Yield a session for the backend that a test was generated for."""
    if request.param == MOTO:
        with mock_aws():
            yield _moto_session()
        return
    yield AwsSession({SERVICE_BY_FIXTURE[fixture]: os.environ[environment_variable(request.param)]})


@contextmanager
def backend_table(request: pytest.FixtureRequest, fixture: str) -> Iterator[Table]:
    """Yield an empty metadata table in the backend that a test was generated for."""
    with backend_session(request, fixture) as session:
        name = f"metadata-{uuid.uuid4().hex}"
        create_table(session.dynamodb, "MetadataTable", name)
        yield Table(session.dynamodb, name)
        session.dynamodb.delete_table(TableName=name)
