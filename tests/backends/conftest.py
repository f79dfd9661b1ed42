"""Fixtures: SeaweedFS and DynamoDB Local, which `make test-backends` has started or the session starts itself."""

from __future__ import annotations

import os
import uuid
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import boto3
import pytest

from dev.testing.aws_environment import DUMMY_ENVIRONMENT
from dev.testing.template import create_bucket, create_table
from ferry.aws.cleanup_repository import DynamoCleanupRepository
from ferry.aws.clock import wall_clock
from ferry.aws.dynamo import Table
from ferry.aws.file_repository import DynamoFileRepository
from ferry.aws.link_repository import DynamoLinkRepository
from ferry.aws.objects import S3ObjectStore
from ferry.aws.sequential_repository import DynamoSequentialRepository
from ferry.aws.session import AwsSession
from ferry.aws.upload_repository import DynamoUploadRepository
from ferry.rules.durations import DAY_MS
from ferry.services import NullCompletionQueue, Services
from tests.backends import servers
from tests.backends.race_runner import RaceRound
from tests.contract.conftest import DYNAMODB_LOCAL, SEAWEEDFS, environment_variable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INSTANCE_COUNT = 10
OUTCOME_PROPERTY = "outcome"


@pytest.fixture
def row_count(pytestconfig: pytest.Config) -> int:
    """The number of rows of a large table (`--rows`)."""
    count: int = pytestconfig.getoption("rows")
    return count


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of SeaweedFS: the one in FERRY_TEST_SEAWEEDFS, or one that this session starts."""
    if url := os.environ.get(environment_variable(SEAWEEDFS)):
        yield url
        return
    with TemporaryDirectory() as folder, servers.seaweedfs(Path(folder)) as url:
        yield url


@pytest.fixture(scope="session")
def dynamodb_endpoint() -> Iterator[str]:
    """The URL of DynamoDB Local: the one in FERRY_TEST_DYNAMODB_LOCAL, or one that this session starts."""
    if url := os.environ.get(environment_variable(DYNAMODB_LOCAL)):
        yield url
        return
    with TemporaryDirectory() as folder, servers.dynamodb_local(Path(folder)) as url:
        yield url


@pytest.fixture
def loading_client(dynamodb_endpoint: str) -> DynamoDBClient:
    """A client that waits longer than Ferry's: for writing rows into a server that has just started."""
    client: DynamoDBClient = boto3.client("dynamodb", endpoint_url=dynamodb_endpoint, **servers.CLIENT_OPTIONS)
    return client


@pytest.fixture
def metadata_table(dynamodb_endpoint: str) -> Iterator[str]:
    """The name of an empty metadata table on DynamoDB Local."""
    client = AwsSession({"dynamodb": dynamodb_endpoint}).dynamodb
    name = f"metadata-{uuid.uuid4().hex}"
    create_table(client, "MetadataTable", name)
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def bucket(s3_endpoint: str) -> str:
    """The name of an empty bucket on SeaweedFS."""
    client = AwsSession({"s3": s3_endpoint}).s3
    name = f"bucket-{uuid.uuid4().hex}"
    create_bucket(client, name)
    return name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=10, help="number of rounds of each race")
    parser.addoption("--parts", type=int, default=100, help="number of parts of 5 MiB of the largest file")
    parser.addoption("--rows", type=int, default=20_000, help="number of rows of the largest tables")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test with the fixture `race_round` once for each round."""
    if "race_round" in metafunc.fixturenames:
        rounds = metafunc.config.getoption("rounds")
        metafunc.parametrize("race_round", range(1, rounds + 1), indirect=True, ids=lambda number: f"round{number}")


@pytest.fixture(scope="session")
def instances(s3_endpoint: str, dynamodb_endpoint: str) -> Iterator[Sequence[Services]]:
    """Function instances that share one table and one bucket only."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in DUMMY_ENVIRONMENT.items():
            environment.setenv(name, value)
        sessions = [AwsSession({"s3": s3_endpoint, "dynamodb": dynamodb_endpoint}) for _ in range(INSTANCE_COUNT)]
        table, bucket = f"races-{uuid.uuid4().hex}", f"races-{uuid.uuid4().hex}"
        create_table(sessions[0].dynamodb, "MetadataTable", table)
        create_bucket(sessions[0].s3, bucket)
        yield [build_services(session, table, bucket) for session in sessions]
        sessions[0].dynamodb.delete_table(TableName=table)


def build_services(session: AwsSession, table: str, bucket: str) -> Services:
    """Return the services that a function's composition root builds."""
    metadata_table = Table(session.dynamodb, table)
    return Services(
        upload_repository=DynamoUploadRepository(metadata_table),
        sequential_repository=DynamoSequentialRepository(metadata_table),
        file_repository=DynamoFileRepository(metadata_table),
        link_repository=lambda: DynamoLinkRepository(metadata_table),
        cleanup_repository=DynamoCleanupRepository(metadata_table),
        object_store=S3ObjectStore(session.s3, bucket),
        completion_queue=NullCompletionQueue(),
        clock=wall_clock,
        upload_idle_timeout_ms=DAY_MS,
        upload_max_age_ms=7 * DAY_MS,
        presigned_url_ttl_seconds=900,
    )


@pytest.fixture
def race_round(request: pytest.FixtureRequest, instances: Sequence[Services]) -> RaceRound:
    """One round of the test's race."""
    return RaceRound(request.node.originalname, request.param, instances)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record the round's outcome, and write the history of a failed round to a file that the report names."""
    race_round = getattr(item, "funcargs", {}).get("race_round")
    if call.when != "call" or not isinstance(race_round, RaceRound):
        return (yield)
    item.user_properties.append((OUTCOME_PROPERTY, race_round.summary))
    report = yield
    if report.failed:
        report.sections.append(("history of this round", str(race_round.save_history())))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the outcomes of each race with their number. A race with one outcome only may not be a race."""
    races: dict[str, Counter[str]] = defaultdict(Counter)
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == OUTCOME_PROPERTY:
                test = report.nodeid.rpartition("::")[2].partition("[")[0]
                races[test][str(value)] += 1
    for race, outcomes in sorted(races.items()):
        terminalreporter.write_line(
            f"{race}: " + ", ".join(f"{outcome} ×{count}" for outcome, count in outcomes.most_common())
        )
