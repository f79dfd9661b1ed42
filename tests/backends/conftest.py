"""SeaweedFS and DynamoDB Local for all tests here: started once, or, as in `make test-backends`, found running."""

from __future__ import annotations

import os
import uuid
from collections import Counter, defaultdict
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ferry.aws.clock import wall_clock
from ferry.aws.ledger import DynamoLedger
from ferry.aws.objects import S3Objects
from ferry.aws.session import AwsSession
from ferry.engine import DAY, Engine, NoWorker
from tests.backends import servers
from tests.backends.rounds import Round
from tests.conftest import DUMMY
from tests.contract.conftest import DYNAMODB_LOCAL, SEAWEEDFS, variable
from tests.support.template import make_bucket, make_table

COPIES = 10
OUTCOME = "outcome of a race"


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The address of SeaweedFS: of one that runs, if FERRY_TEST_SEAWEEDFS names it."""
    if given := os.environ.get(variable(SEAWEEDFS)):
        yield given
        return
    with TemporaryDirectory() as folder, servers.seaweedfs(Path(folder)) as address:
        yield address


@pytest.fixture(scope="session")
def dynamodb_endpoint() -> Iterator[str]:
    """The address of DynamoDB Local: of one that runs, if FERRY_TEST_DYNAMODB_LOCAL names it."""
    if given := os.environ.get(variable(DYNAMODB_LOCAL)):
        yield given
        return
    with TemporaryDirectory() as folder, servers.dynamodb_local(Path(folder)) as address:
        yield address


@pytest.fixture
def ledger_table(dynamodb_endpoint: str) -> Iterator[str]:
    """The name of an empty ledger table on DynamoDB Local."""
    client = AwsSession({"dynamodb": dynamodb_endpoint}).dynamodb
    name = f"ledger-{uuid.uuid4().hex}"
    make_table(client, "LedgerTable", name)
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def bucket(s3_endpoint: str) -> str:
    """The name of an empty bucket on SeaweedFS."""
    client = AwsSession({"s3": s3_endpoint}).s3
    name = f"bucket-{uuid.uuid4().hex}"
    make_bucket(client, name)
    return name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=10, help="how often each race is run")
    parser.addoption("--parts", type=int, default=100, help="how many parts of 5 MiB the largest file has")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A race is a test of `round_`: one for each round."""
    if "round_" in metafunc.fixturenames:
        rounds = metafunc.config.getoption("rounds")
        metafunc.parametrize("round_", range(1, rounds + 1), indirect=True, ids=lambda number: f"round{number}")


@pytest.fixture(scope="session")
def copies(s3_endpoint: str, dynamodb_endpoint: str) -> Iterator[Sequence[Engine]]:
    """Function copies, which share nothing but one table and one bucket."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in DUMMY.items():
            environment.setenv(name, value)
        sessions = [AwsSession({"s3": s3_endpoint, "dynamodb": dynamodb_endpoint}) for _ in range(COPIES)]
        table, bucket = f"races-{uuid.uuid4().hex}", f"races-{uuid.uuid4().hex}"
        make_table(sessions[0].dynamodb, "LedgerTable", table)
        make_bucket(sessions[0].s3, bucket)
        yield [engine_of(session, table, bucket) for session in sessions]
        sessions[0].dynamodb.delete_table(TableName=table)


def engine_of(session: AwsSession, table: str, bucket: str) -> Engine:
    """What a function's composition root makes."""
    return Engine(
        ledger=DynamoLedger(session.dynamodb, table, wall_clock),
        objects=S3Objects(session.s3, bucket),
        worker=NoWorker(),
        clock=wall_clock,
        session_idle=DAY,
        session_max_age=7 * DAY,
        url_lifetime=900,
    )


@pytest.fixture
def round_(request: pytest.FixtureRequest, copies: Sequence[Engine]) -> Round:
    """A round of the test's race."""
    return Round(request.node.originalname, request.param, copies)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Whoever reads of a race that failed finds its history."""
    report = yield
    played = getattr(item, "funcargs", {}).get("round_")
    if report.when == "call" and isinstance(played, Round):
        report.user_properties.append((OUTCOME, (played.name, played.told)))
        if report.failed:
            report.sections.append(("the history of this round", str(played.save())))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how each race went: one that always ends alike may be none."""
    races: dict[str, Counter[str]] = defaultdict(Counter)
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == OUTCOME and isinstance(value, list | tuple):
                races[value[0]][value[1]] += 1
    for race, outcomes in sorted(races.items()):
        terminalreporter.write_line(f"{race}: " + ", ".join(f"{told} ×{n}" for told, n in outcomes.most_common()))
