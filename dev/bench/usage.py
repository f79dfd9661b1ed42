"""Count the calls and units of one upload, through the API or straight to S3.

The use cases run on the in-memory object store, which logs its calls, and on the DynamoDB adapter over moto. A meter in
front of moto computes the units that DynamoDB charges for each call. Chunks and parts have a few bytes only, because
the counts depend on the number of chunks and parts and not on their length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from functools import cache
from typing import Any, cast
from unittest.mock import patch

from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from dev.fakes.clock import SequentialIds, SettableClock
from dev.fakes.event_publisher import MemoryEventPublisher
from dev.fakes.faults import CallLog, with_faults
from dev.fakes.object_store import MemoryObjectStore
from dev.testing.item_sizes import row_bytes
from dev.testing.template import create_table
from ferry.aws.cleanup_repository import DynamoCleanupRepository
from ferry.aws.dynamo import Table
from ferry.aws.expressions import Row, decode_row, encode_key
from ferry.aws.file_repository import DynamoFileRepository
from ferry.aws.link_repository import DynamoLinkRepository
from ferry.aws.sequential_repository import DynamoSequentialRepository
from ferry.aws.session import AwsSession
from ferry.aws.upload_repository import DynamoUploadRepository
from ferry.cleanup import CleanupReport, sweep_due_tasks
from ferry.cleanup.reconcile import reconcile
from ferry.files.put import PutRequest, put_file
from ferry.model.files import File
from ferry.rules.durations import DAY_MS, HOUR_MS
from ferry.rules.layout import ChunkLayout
from ferry.services import NullCompletionQueue, Services
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.presign import PartsRequest, presign_parts
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest

NS, NAME = "customer-0001", "a file of ordinary name.bin"
TINY_BYTES = 4
"""Size of a chunk or a part while counting."""

PRESIGN_BATCH = 100
"""Parts signed by one request."""

WRITE_UNIT_BYTES, READ_UNIT_BYTES = 1_024, 4_096

PUT_CLASS = frozenset(
    {
        *("create_multipart", "upload_part", "put", "complete_multipart", "delete_prefix"),
        *("list_parts", "list_multipart_uploads", "list_objects", "list_prefixes"),
    }
)
"""Methods of one S3 call each, charged as PUT, POST or LIST. A deletion by prefix lists first; S3 deletes for free."""

GET_CLASS = frozenset({"get", "head"})
FREE_CLASS = frozenset({"delete"})


@dataclass(frozen=True)
class Usage:
    """The calls and units that AWS charges for one file."""

    puts: int = 0
    """S3 calls charged as PUT, POST or LIST."""

    gets: int = 0
    """S3 calls charged as GET."""

    write_units: int = 0
    """DynamoDB write request units."""

    read_units: float = 0
    """DynamoDB read request units; a query of an index costs halves."""

    dynamodb_calls: int = 0
    """Calls to DynamoDB, of any cost."""

    requests: int = 0
    """API requests, each of which calls one function."""

    chunks: int = 0
    """Requests that carry a chunk; included in `requests`."""

    events: int = 0
    """Events on the bus."""

    def minus(self, other: Usage) -> Usage:
        return Usage(*(left - right for left, right in zip(astuple(self), astuple(other), strict=True)))


class UsageMeter:
    """A DynamoDB client that adds up the units of its calls.

    The units are those of DynamoDB's developer guide. A write costs one unit for each KB of the row, before or after
    it, whichever is larger; in a transaction, twice that. Each index entry that it adds or removes costs one more. A
    read costs one unit for each 4 KB; a query of an index costs half. A call that fails is counted without units.
    """

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self.table = table
        self._rows: dict[tuple[Any, Any], Row] = {}
        self.calls: Counter[str] = Counter()
        self.write_units = 0
        self.read_units = 0.0

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**params: Any) -> Any:
            self.calls[operation] += 1
            response = getattr(self._client, operation)(**params)
            keys = list(_written_keys(operation, params))
            if keys:
                self._count_writes(keys, factor=2 if operation == "transact_write_items" else 1)
            else:
                self._count_reads(operation, params, response)
            return response

        return call

    def _count_writes(self, keys: list[tuple[Any, Any]], factor: int) -> None:
        for key in keys:
            old, new = self._rows.pop(key, {}), self._stored_row(key)
            self._rows[key] = new
            self.write_units += factor * _count_units(max(row_bytes(old), row_bytes(new)), WRITE_UNIT_BYTES)
            if _index_key(old) != _index_key(new):
                self.write_units += bool(_index_key(old)) + bool(_index_key(new))

    def _stored_row(self, key: tuple[Any, Any]) -> Row:
        """Return a row from moto's own table: a call for each row that is written would double the time of a count."""
        table = dynamodb_backends[DEFAULT_ACCOUNT_ID][self._client.meta.region_name].tables[self.table]
        pk, sk = (DynamoType(value) for value in encode_key(key).values())
        item = table.get_item(pk, sk)
        return decode_row(item.to_json()["Attributes"] if item else {})

    def _count_reads(self, operation: str, params: Mapping[str, Any], response: Mapping[str, Any]) -> None:
        if operation == "query":
            size = sum(row_bytes(decode_row(item)) for item in response["Items"])
            self.read_units += _count_units(size, READ_UNIT_BYTES) * (0.5 if "IndexName" in params else 1)
        elif operation == "transact_get_items":
            self.read_units += sum(2 * _item_read_units(item) for item in response["Responses"])
        elif operation == "batch_get_item":
            (found,), (requested,) = response["Responses"].values(), params["RequestItems"].values()
            self.read_units += sum(_item_read_units({"Item": item}) for item in found)
            self.read_units += len(requested["Keys"]) - len(found)
        else:
            assert operation == "get_item", operation
            self.read_units += _item_read_units(response)


def _count_units(size_bytes: int, unit_bytes: int) -> int:
    return max(1, -(-size_bytes // unit_bytes))


def _item_read_units(response: Mapping[str, Any]) -> int:
    return _count_units(row_bytes(decode_row(response["Item"])) if "Item" in response else 0, READ_UNIT_BYTES)


def _index_key(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("due_shard", "due_at") if row.get(name) is not None)


def _written_keys(operation: str, params: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the keys of the rows that a call writes; none for a read."""
    if operation in {"put_item", "update_item", "delete_item"}:
        yield _row_key(params)
    elif operation == "transact_write_items":
        yield from (_row_key(write) for item in params["TransactItems"] for write in item.values())
    elif operation == "batch_write_item":
        (requests,) = params["RequestItems"].values()
        yield from (_row_key(request["DeleteRequest"]) for request in requests)


def _row_key(write: Mapping[str, Any]) -> tuple[Any, Any]:
    row = decode_row(write.get("Key") or write["Item"])
    return row["pk"], row["sk"]


@dataclass
class UsageRun:
    """Services whose calls are counted, and a client that uploads one file."""

    meter: UsageMeter
    """Counts DynamoDB's calls and units."""

    clock: SettableClock = field(default_factory=SettableClock)
    """The time that the services read."""
    call_log: CallLog = field(default_factory=CallLog)
    """Counts the object store's calls."""

    publisher: MemoryEventPublisher = field(default_factory=MemoryEventPublisher)
    """Counts events."""

    requests: int = 0
    """API requests so far."""
    chunks: int = 0
    """Requests that carried a chunk; included in `requests`."""
    presigned_puts: int = 0
    """Parts that the client sent straight to S3."""

    def __post_init__(self) -> None:
        self.objects = MemoryObjectStore(self.clock)
        table = Table(cast(Any, self.meter), self.meter.table)
        self.services = Services(
            upload_repository=DynamoUploadRepository(table, self.clock),
            sequential_repository=DynamoSequentialRepository(table),
            file_repository=DynamoFileRepository(table),
            link_repository=lambda: DynamoLinkRepository(table),
            cleanup_repository=DynamoCleanupRepository(table, self.clock),
            object_store=with_faults(self.objects, log=self.call_log),
            completion_queue=NullCompletionQueue(),
            clock=self.clock,
            upload_idle_timeout_ms=DAY_MS,
            upload_max_age_ms=7 * DAY_MS,
            presigned_url_ttl_seconds=900,
            new_id=SequentialIds(),
            event_publisher=self.publisher,
        )

    def usage(self) -> Usage:
        """Return everything counted so far."""
        classified = PUT_CLASS | GET_CLASS | FREE_CLASS
        assert classified.issuperset(self.call_log.methods), set(self.call_log.methods) - classified
        puts = sum(self.call_log.count(method) for method in PUT_CLASS)
        further_pages = self.objects.list_parts_calls - self.call_log.count("list_parts")
        return Usage(
            puts=puts + further_pages + self.presigned_puts,
            gets=sum(self.call_log.count(method) for method in GET_CLASS),
            write_units=self.meter.write_units,
            read_units=self.meter.read_units,
            dynamodb_calls=self.meter.calls.total(),
            requests=self.requests,
            chunks=self.chunks,
            events=len(self.publisher.published),
        )

    def run_cleanup(self) -> None:
        """Run the scheduled cleanup, after the staged chunks of a completed upload have become due."""
        self.clock.advance(2 * HOUR_MS)
        assert sweep_due_tasks(self.services, has_time=lambda: True).complete

    def upload(self, layout: ChunkLayout, *, presigned: bool) -> None:
        """Upload one file by one path, from start to completion."""
        body = bytes(layout.size)
        started = start(self.services, NS, StartRequest(NAME, layout.size, chunk_size=layout.chunk_size))
        assert started.upload is not None
        upload_id = started.upload.record.upload_id
        assert started.upload.record.layout == layout
        self.requests += 1
        if presigned:
            self._upload_parts(layout, upload_id, body)
        else:
            for index in range(1, layout.chunk_count + 1):
                chunk = ChunkRequest(NAME, index, body[: layout.chunk_length(index)], upload_id=upload_id)
                accept_chunk(self.services, NS, chunk)
            self.chunks += layout.chunk_count
            self.requests += layout.chunk_count
        assert isinstance(complete(self.services, NS, CompleteRequest(NAME, upload_id)), File)
        self.requests += 1

    def delete_replaced_object(self) -> None:
        """Reconcile what is due when a replaced file can no longer be restored."""
        self.clock.advance(2 * DAY_MS)
        for task in self.services.cleanup_repository.list_due_tasks(self.clock(), None, 100).items:
            reconcile(self.services, task, CleanupReport())

    def put(self) -> None:
        """Store one small file in one request, by an instance that knows the quota of the namespace."""
        self.services.quota_cache.put(NS, None, self.clock())
        put_file(self.services, NS, PutRequest(NAME, bytes(TINY_BYTES)))
        self.requests += 1
        self.chunks += 1

    def _upload_parts(self, layout: ChunkLayout, upload_id: str, body: bytes) -> None:
        for first in range(1, layout.part_count + 1, PRESIGN_BATCH):
            last = min(first + PRESIGN_BATCH, layout.part_count + 1)
            parts = [(number, None) for number in range(first, last)]
            for part in presign_parts(self.services, NS, PartsRequest(NAME, parts, upload_id)):
                response = self.objects.put_presigned(part.url, body[: part.size], part.headers)
                assert response.status == 200
            self.requests += 1
        self.presigned_puts += layout.part_count


@contextmanager
def tiny_sizes(chunks_per_part: int) -> Iterator[None]:
    """Replace the layout's minimum sizes, so that a layout of tiny chunks has as many chunks a part as the real one."""
    part_bytes = chunks_per_part * TINY_BYTES
    with (
        patch.multiple("ferry.rules.layout", MIN_CHUNK_BYTES=TINY_BYTES, DEFAULT_PART_BYTES=part_bytes),
        patch("dev.fakes.object_store.MIN_PART_BYTES", TINY_BYTES),
    ):
        yield


def measure_usage(layout: ChunkLayout, *, presigned: bool) -> Usage:
    """Return the usage of one file, with its cleanup and without the calls of an idle cleanup run.

    Args:
        layout: how the file is divided.
        presigned: parts go straight to S3; otherwise chunks go through the API, from one sender in order.
    """
    if presigned:
        # Parts of two chunks stand for all others but one: a last part of one chunk, which takes calls of its own.
        has_short_end = layout.supports_chunks and len(layout.chunks_in_part(layout.part_count)) == 1
        return _measure_usage(2 * layout.part_count - has_short_end, 2, presigned=True)
    return _measure_usage(layout.chunk_count, layout.chunks_per_part, presigned=False)


@cache
def _measure_usage(piece_count: int, chunks_per_part: int, *, presigned: bool) -> Usage:
    with tiny_sizes(chunks_per_part), mock_aws():
        client = AwsSession({}).dynamodb
        for table in ("idle", "counted"):
            create_table(client, "MetadataTable", table)
        idle, counted = UsageRun(UsageMeter(client, "idle")), UsageRun(UsageMeter(client, "counted"))
        idle.run_cleanup()
        counted.upload(ChunkLayout.plan(piece_count * TINY_BYTES, TINY_BYTES), presigned=presigned)
        counted.run_cleanup()
        return counted.usage().minus(idle.usage())


@cache
def measure_put_usage(*, replaces: bool) -> Usage:
    """Return the usage of a file that one request stores whole, without the calls of an idle cleanup run.

    `replaces`: the name has such a file already; its object is deleted when it can no longer be restored.
    """
    with mock_aws():
        client = AwsSession({}).dynamodb
        for table in ("idle", "counted"):
            create_table(client, "MetadataTable", table)
        idle, counted = UsageRun(UsageMeter(client, "idle")), UsageRun(UsageMeter(client, "counted"))
        if replaces:
            counted.put()
        before = counted.usage()
        counted.put()
        for run in (idle, counted):
            run.delete_replaced_object()
        return counted.usage().minus(before).minus(idle.usage())
