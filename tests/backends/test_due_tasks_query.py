"""The cost of finding due cleanup tasks depends on their number alone: calls counted on DynamoDB Local.

`--rows=100000` counts them among 100,000 uploads.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dev.fakes.clock import START_MS, SettableClock
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
BATCH_SIZE = 25
WRITERS = 8


@dataclass
class QueryUsage:
    """The DynamoDB calls of one search for due tasks."""

    calls: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    """Rows that DynamoDB read."""

    units: float = 0.0
    """Read units, if DynamoDB reports them."""

    def record_call(self, model: Any, parsed: Any, **_: object) -> None:
        self.calls[model.name] += 1
        self.rows += parsed.get("ScannedCount", 0)
        self.units += parsed.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0)


def put_upload_rows(client: DynamoDBClient, table: str, numbers: range) -> None:
    """Put upload rows. The first `STALE_COUNT` of all are due, the others are not."""

    def put(first: int) -> None:
        batch = range(first, min(first + BATCH_SIZE, numbers.stop))
        requests: Any = [{"PutRequest": {"Item": encode_row(upload_row(number))}} for number in batch]
        unprocessed: Any = {table: requests}
        while unprocessed:
            unprocessed = client.batch_write_item(RequestItems=unprocessed).get("UnprocessedItems")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(put, range(numbers.start, numbers.stop, BATCH_SIZE)))


def upload_row(number: int) -> dict[str, Any]:
    record = make_record(f"{number:032x}", name=f"name {number}")
    row = record_to_row(record, START_MS - STALE_COUNT + number if number < STALE_COUNT else START_MS + number)
    # Rows of the large set have only the attributes that the query reads, which makes loading four times as fast.
    return row if number < FEW_COUNT else {name: row[name] for name in ("pk", "sk", "due_at", "due_shard", "state")}


def find_due(client: DynamoDBClient, table: str) -> tuple[list[CleanupTask], QueryUsage]:
    """Return every due task, as the scheduled cleanup lists them, and the calls that it took."""
    repository, usage = DynamoCleanupRepository(Table(client, table), SettableClock(START_MS)), QueryUsage()
    client.meta.events.register("after-call.dynamodb", usage.record_call, unique_id="usage")
    tasks: list[CleanupTask] = []
    cursor = None
    try:
        while True:
            page = repository.list_due_tasks(START_MS, cursor, PAGE_SIZE)
            tasks += page.items
            cursor = page.cursor
            if cursor is None:
                return tasks, usage
    finally:
        client.meta.events.unregister("after-call.dynamodb", unique_id="usage")


@pytest.fixture
def client(dynamodb_endpoint: str) -> DynamoDBClient:
    return AwsSession({"dynamodb": dynamodb_endpoint}).dynamodb


def test_find_due_among_many_uploads_costs_same_as_among_few(
    client: DynamoDBClient, loading_client: DynamoDBClient, metadata_table: str, row_count: int
) -> None:
    """1,000 due tasks take the same calls among 2,000 and among ten times as many uploads, and are listed by age."""
    put_upload_rows(loading_client, metadata_table, range(FEW_COUNT))
    tasks, usage = find_due(client, metadata_table)
    put_upload_rows(loading_client, metadata_table, range(FEW_COUNT, row_count))
    tasks_among_many, usage_among_many = find_due(client, metadata_table)
    assert tasks_among_many == tasks
    assert [task.due_at for task in tasks] == sorted(task.due_at for task in tasks)
    assert set(tasks) == {
        CleanupTask(CleanupTaskKind.UPLOAD, f"{number:032x}", START_MS - STALE_COUNT + number)
        for number in range(STALE_COUNT)
    }
    assert usage_among_many == usage
    assert set(usage.calls) == {"Query"}
    assert usage.calls["Query"] <= 4 * STALE_COUNT // PAGE_SIZE
