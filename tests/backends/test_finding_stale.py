"""Finding what is stale costs by what is stale: counted calls on DynamoDB Local, over few uploads and over many."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from ferry.aws.expressions import encode_row
from ferry.aws.ledger import DynamoLedger
from ferry.aws.ledger_rows import session_row
from ferry.aws.session import AwsSession
from ferry.cleanup.sweep import PAGE
from ferry.model import Due, DueKind
from tests.contract.rows import session_of
from tests.fakes.clock import START, SettableClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STALE = 1_000
FEW = 2_000
MANY = 100_000
BATCH = 25
WRITERS = 8


@dataclass
class Counted:
    """What one search for stale sessions asked of DynamoDB."""

    calls: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    units: float = 0.0

    def note(self, model: Any, parsed: Any, **_: object) -> None:
        self.calls[model.name] += 1
        self.rows += parsed.get("ScannedCount", 0)
        self.units += parsed.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)


def put_sessions(client: DynamoDBClient, table: str, numbers: range) -> None:
    """Rows as a start puts them; the first thousand of all are stale, the others due tomorrow."""

    def put(first: int) -> None:
        batch = range(first, min(first + BATCH, numbers.stop))
        requests: Any = [{"PutRequest": {"Item": encode_row(row_of(number))}} for number in batch]
        left: Any = {table: requests}
        while left:
            left = client.batch_write_item(RequestItems=left).get("UnprocessedItems")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(put, range(numbers.start, numbers.stop, BATCH)))


def row_of(number: int) -> dict[str, Any]:
    session = session_of(f"{number:032x}", name=f"name {number}")
    row = session_row(session, START - STALE + number if number < STALE else START + number)
    # Of the many only what finding looks at, which loads four times as fast.
    return row if number < FEW else {name: row[name] for name in ("pk", "sk", "due", "due_shard", "state")}


def find(client: DynamoDBClient, table: str) -> tuple[list[Due], Counted]:
    """Everything due, as a sweep finds it, and what that took."""
    ledger, counted = DynamoLedger(client, table, SettableClock(START)), Counted()
    client.meta.events.register("after-call.dynamodb", counted.note, unique_id="counted")
    found: list[Due] = []
    cursor = None
    try:
        while True:
            page = ledger.due(START, cursor, PAGE)
            found += page.items
            cursor = page.cursor
            if cursor is None:
                return found, counted
    finally:
        client.meta.events.unregister("after-call.dynamodb", unique_id="counted")


@pytest.fixture
def client(dynamodb_endpoint: str) -> DynamoDBClient:
    return AwsSession({"dynamodb": dynamodb_endpoint}).dynamodb


def test_a_thousand_stale_among_many_take_the_calls_of_a_thousand_among_few(
    client: DynamoDBClient, ledger_table: str
) -> None:
    """1,000 among 2,000 and among 100,000: the same calls, the same rows looked at; each found once, oldest first."""
    put_sessions(client, ledger_table, range(FEW))
    few, cost_of_few = find(client, ledger_table)
    put_sessions(client, ledger_table, range(FEW, MANY))
    many, cost_of_many = find(client, ledger_table)
    assert many == few
    assert [entry.due for entry in few] == sorted(entry.due for entry in few)
    assert set(few) == {Due(DueKind.SESSION, f"{number:032x}", START - STALE + number) for number in range(STALE)}
    assert cost_of_many == cost_of_few
    assert set(cost_of_few.calls) == {"Query"}
    assert cost_of_few.calls["Query"] <= 4 * STALE // PAGE
