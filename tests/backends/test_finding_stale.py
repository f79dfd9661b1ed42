"""Finding what is stale costs by what is stale: counted calls on DynamoDB Local, over few uploads and over many."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dev.fakes.clock import START, SettableClock
from ferry.aws.cleanup_repository import DynamoCleanupRepository
from ferry.aws.dynamo import Table
from ferry.aws.expressions import encode_row
from ferry.aws.metadata_rows import record_to_row
from ferry.aws.session import AwsSession
from ferry.cleanup.sweep import PAGE_SIZE
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from tests.contract.factories import make_record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STALE_COUNT = 1_000
FEW_COUNT = 2_000
MANY_COUNT = 100_000
BATCH_SIZE = 25
WRITERS = 8


@dataclass
class QueryUsage:
    """What one search for stale sessions asked of DynamoDB."""

    calls: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    units: float = 0.0

    def record_call(self, model: Any, parsed: Any, **_: object) -> None:
        self.calls[model.name] += 1
        self.rows += parsed.get("ScannedCount", 0)
        self.units += parsed.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)


def put_upload_rows(client: DynamoDBClient, table: str, numbers: range) -> None:
    """Rows as a start puts them; the first thousand of all are stale, the others due tomorrow."""

    def put(first: int) -> None:
        batch = range(first, min(first + BATCH_SIZE, numbers.stop))
        requests: Any = [{"PutRequest": {"Item": encode_row(upload_row(number))}} for number in batch]
        left: Any = {table: requests}
        while left:
            left = client.batch_write_item(RequestItems=left).get("UnprocessedItems")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(put, range(numbers.start, numbers.stop, BATCH_SIZE)))


def upload_row(number: int) -> dict[str, Any]:
    session = make_record(f"{number:032x}", name=f"name {number}")
    row = record_to_row(session, START - STALE_COUNT + number if number < STALE_COUNT else START + number)
    # Of the many only what finding looks at, which loads four times as fast.
    return row if number < FEW_COUNT else {name: row[name] for name in ("pk", "sk", "due_at", "due_shard", "state")}


def find_due(client: DynamoDBClient, table: str) -> tuple[list[CleanupTask], QueryUsage]:
    """Everything due, as a sweep finds it, and what that took."""
    ledger, counted = DynamoCleanupRepository(Table(client, table), SettableClock(START)), QueryUsage()
    client.meta.events.register("after-call.dynamodb", counted.record_call, unique_id="counted")
    found: list[CleanupTask] = []
    cursor = None
    try:
        while True:
            page = ledger.list_due_tasks(START, cursor, PAGE_SIZE)
            found += page.items
            cursor = page.cursor
            if cursor is None:
                return found, counted
    finally:
        client.meta.events.unregister("after-call.dynamodb", unique_id="counted")


@pytest.fixture
def client(dynamodb_endpoint: str) -> DynamoDBClient:
    return AwsSession({"dynamodb": dynamodb_endpoint}).dynamodb


def test_find_due_among_many_uploads_costs_same_as_among_few(client: DynamoDBClient, metadata_table: str) -> None:
    """1,000 among 2,000 and among 100,000: the same calls, the same rows looked at; each found once, oldest first."""
    put_upload_rows(client, metadata_table, range(FEW_COUNT))
    few, cost_of_few = find_due(client, metadata_table)
    put_upload_rows(client, metadata_table, range(FEW_COUNT, MANY_COUNT))
    many, cost_of_many = find_due(client, metadata_table)
    assert many == few
    assert [entry.due_at for entry in few] == sorted(entry.due_at for entry in few)
    assert set(few) == {
        CleanupTask(CleanupTaskKind.UPLOAD, f"{number:032x}", START - STALE_COUNT + number)
        for number in range(STALE_COUNT)
    }
    assert cost_of_many == cost_of_few
    assert set(cost_of_few.calls) == {"Query"}
    assert cost_of_few.calls["Query"] <= 4 * STALE_COUNT // PAGE_SIZE
