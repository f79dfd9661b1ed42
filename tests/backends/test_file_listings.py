"""What a page of a listing reads among many files: calls, rows and read units counted on DynamoDB Local.

`make prove-listing` counts them among 100,000 files.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from dev.fakes.clock import START_MS
from ferry.aws.cleanup_repository import DynamoCleanupRepository
from ferry.aws.clock import wall_clock
from ferry.aws.dynamo import Table
from ferry.aws.expressions import encode_row
from ferry.aws.file_repository import DynamoFileRepository
from ferry.aws.link_repository import DynamoLinkRepository
from ferry.aws.metadata_rows import file_to_row
from ferry.aws.sequential_repository import DynamoSequentialRepository
from ferry.aws.session import AwsSession
from ferry.aws.upload_repository import DynamoUploadRepository
from ferry.files.list import FileListing, ListQuery, list_files
from ferry.http.file_listings import listing_response, measure
from ferry.services import NullCompletionQueue, Services
from tests.contract.factories import NS, make_file

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

FOLDERS = 1_000
"""Folders beside it, of two files each."""

PAGE_ENTRIES = 1_000
ROUNDS = 15
BATCH_SIZE = 25
WRITERS = 8

Record = Callable[[str, object], None]


@dataclass
class ReadUsage:
    """The queries of one page."""

    queries: int = 0
    rows: int = 0
    """Rows that DynamoDB read."""
    units: float = 0.0
    """Read units, as DynamoDB Local reports them."""

    def record_call(self, parsed: Any, **_: object) -> None:
        self.queries += 1
        self.rows += parsed["ScannedCount"]
        self.units += parsed["ConsumedCapacity"]["CapacityUnits"]


@contextmanager
def counted_queries(client: DynamoDBClient) -> Iterator[ReadUsage]:
    """Count the queries of a client."""

    def ask_for_capacity(params: dict[str, Any], **_: object) -> None:
        params["ReturnConsumedCapacity"] = "TOTAL"

    usage, events = ReadUsage(), client.meta.events
    events.register("provide-client-params.dynamodb.Query", ask_for_capacity, unique_id="capacity")
    events.register("after-call.dynamodb.Query", usage.record_call, unique_id="usage")
    try:
        yield usage
    finally:
        events.unregister("provide-client-params.dynamodb.Query", unique_id="capacity")
        events.unregister("after-call.dynamodb.Query", unique_id="usage")


def put_files(client: DynamoDBClient, table: str, names: list[str]) -> None:
    """Put file rows of the size that a file with little metadata has."""

    def put(first: int) -> None:
        rows = [
            file_to_row(replace(make_file(f"{hash(name) % 16**32:032x}", name=name), uploaded_at=START_MS))
            for name in names[first : first + BATCH_SIZE]
        ]
        unprocessed: Any = {table: [{"PutRequest": {"Item": encode_row(row)}} for row in rows]}
        while unprocessed:
            unprocessed = client.batch_write_item(RequestItems=unprocessed).get("UnprocessedItems")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(put, range(0, len(names), BATCH_SIZE)))


@pytest.fixture
def client(dynamodb_endpoint: str) -> DynamoDBClient:
    return AwsSession({"dynamodb": dynamodb_endpoint}).dynamodb


def build_services(client: DynamoDBClient, table_name: str) -> Services:
    """Return services over the table; a listing uses nothing else."""
    table, nothing = Table(client, table_name), NullCompletionQueue()
    return Services(
        upload_repository=DynamoUploadRepository(table),
        sequential_repository=DynamoSequentialRepository(table),
        file_repository=DynamoFileRepository(table),
        link_repository=lambda: DynamoLinkRepository(table),
        cleanup_repository=DynamoCleanupRepository(table),
        object_store=nothing,  # type: ignore[arg-type]
        completion_queue=nothing,
        clock=wall_clock,
        upload_idle_timeout_ms=1,
        upload_max_age_ms=1,
        presigned_url_ttl_seconds=1,
    )


def test_listing_among_many_files_reads_what_it_shows(
    client: DynamoDBClient,
    loading_client: DynamoDBClient,
    metadata_table: str,
    row_count: int,
    record_property: Record,
) -> None:
    """A large folder costs a page one jump; 1,000 of its files cost their own rows and one more."""
    names = [f"big/{number:06}.jpg" for number in range(row_count)]
    names += [f"small-{number:04}/{letter}" for number in range(FOLDERS) for letter in "ab"]
    put_files(loading_client, metadata_table, [*names, "z"])
    services = build_services(client, metadata_table)

    def page_of(query: ListQuery) -> tuple[FileListing, ReadUsage]:
        with counted_queries(client) as usage:
            return list_files(services, NS, query, measure), usage

    page, jump = page_of(ListQuery("b", by_folder=True))
    assert (page.prefixes, page.files, page.cursor) == (["big/"], [], None)
    assert (jump.queries, jump.rows) == (2, 32)
    page, folders = page_of(ListQuery(by_folder=True, limit=PAGE_ENTRIES))
    assert (len(page.prefixes), page.prefixes[0], page.cursor is None) == (PAGE_ENTRIES, "big/", False)
    page, flat = page_of(ListQuery("big/", limit=PAGE_ENTRIES))
    assert ([file.name for file in page.files], page.cursor is None) == (names[:PAGE_ENTRIES], False)
    assert flat.rows == PAGE_ENTRIES + 1

    body = listing_response(page).body or ""
    milliseconds = []
    for _ in range(ROUNDS):
        started_at = time.perf_counter()
        listing_response(list_files(services, NS, ListQuery("big/", limit=PAGE_ENTRIES), measure))
        milliseconds.append(round((time.perf_counter() - started_at) * 1000, 1))
    figures = {
        "files in the folder": row_count,
        "page that jumps over the folder: queries": jump.queries,
        "page that jumps over the folder: rows": jump.rows,
        "page that jumps over the folder: read units": jump.units,
        "1,000 folders of two files: queries": folders.queries,
        "1,000 folders of two files: rows": folders.rows,
        "1,000 folders of two files: read units": folders.units,
        "1,000 of the folder's files: queries": flat.queries,
        "1,000 of the folder's files: rows": flat.rows,
        "1,000 of the folder's files: read units": flat.units,
        "1,000 of the folder's files: bytes of JSON": len(body),
        "1,000 of the folder's files: median ms": statistics.median(milliseconds),
        "1,000 of the folder's files: slowest ms": max(milliseconds),
    }
    for name, value in figures.items():
        record_property(name, value)
