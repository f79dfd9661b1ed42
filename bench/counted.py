"""What one file costs in calls and units, counted while it is uploaded: through the API, and straight to S3.

The engine runs on the tests' object store, which counts S3's calls, and on the DynamoDB adapter over moto, before which
a meter works out the units that DynamoDB charges for each call. Chunks and parts are of a few bytes, for what is
counted does not depend on their length, only on their number.
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

from ferry.aws.expressions import Row, decode_row, key_of
from ferry.aws.ledger import DynamoLedger
from ferry.aws.session import AwsSession
from ferry.cleanup import sweep_due
from ferry.engine import DAY, HOUR, Engine, NoWorker
from ferry.grid import MIB, Grid
from ferry.model import File
from ferry.uploads.chunk import ChunkRequest, send
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.parts import PartsRequest, sign
from ferry.uploads.start import StartRequest, start
from tests.fakes.clock import CountingIds, SettableClock
from tests.fakes.faults import Log, faulty
from tests.fakes.objects import MemoryObjects
from tests.support.sizes import size_of_row
from tests.support.template import make_table

NS, NAME = "customer-0001", "a file of ordinary name.bin"
TINY = 4
"""Bytes of a chunk or a part while counting."""

SIGNED_AT_ONCE = 100
WRITE_UNIT, READ_UNIT = 1_024, 4_096

LIKE_A_PUT = frozenset(
    {"create_multipart", "upload_part", "put", "complete_multipart", "list_parts", "delete_prefix"}
) | {
    "multiparts",
    "listing",
    "folders",
}
"""One call each that S3 charges as PUT, POST or LIST (a deletion by prefix lists first; what it deletes is free)."""
LIKE_A_GET = frozenset({"get", "head"})
FREE = frozenset({"delete"})


@dataclass(frozen=True)
class Bill:
    """What a file was charged for. `puts` and `gets` are S3's two classes; the gateway meters steps of 512 KiB."""

    puts: int = 0
    gets: int = 0
    write_units: int = 0
    read_units: float = 0
    dynamodb_calls: int = 0
    requests: int = 0
    chunks: int = 0
    """Of the requests, those that carry a chunk."""

    def minus(self, other: Bill) -> Bill:
        return Bill(*(mine - theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


class Meter:
    """Stands before a DynamoDB client and adds up units, by the rules of its developer guide.

    A write costs a unit for each KB of the row, before or after, whichever is larger; twice that in a transaction; one
    more for each entry of the index that it puts or removes. A read costs a unit for each 4 KB, half from an index.
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
            answer = getattr(self._client, operation)(**params)
            self.calls[operation] += 1
            keys = list(_written(operation, params))
            if keys:
                self._note_writes(keys, factor=2 if operation == "transact_write_items" else 1)
            else:
                self._note_reads(operation, params, answer)
            return answer

        return call

    def _note_writes(self, keys: list[tuple[Any, Any]], factor: int) -> None:
        for key in keys:
            found = self._client.get_item(TableName=self.table, Key=key_of(key))
            old, new = self._rows.pop(key, {}), decode_row(found.get("Item", {}))
            self._rows[key] = new
            self.write_units += factor * _units(max(size_of_row(old), size_of_row(new)), WRITE_UNIT)
            if _in_index(old) != _in_index(new):
                self.write_units += bool(_in_index(old)) + bool(_in_index(new))

    def _note_reads(self, operation: str, params: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if operation == "query":
            size = sum(size_of_row(decode_row(item)) for item in answer["Items"])
            self.read_units += _units(size, READ_UNIT) * (0.5 if "IndexName" in params else 1)
        elif operation == "transact_get_items":
            self.read_units += sum(2 * _units_of(found) for found in answer["Responses"])
        else:
            assert operation == "get_item", operation
            self.read_units += _units_of(answer)


def _units(size: int, step: int) -> int:
    return max(1, -(-size // step))


def _units_of(answer: Mapping[str, Any]) -> int:
    return _units(size_of_row(decode_row(answer["Item"])) if "Item" in answer else 0, READ_UNIT)


def _in_index(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("due_shard", "due") if row.get(name) is not None)


def _written(operation: str, params: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The keys of the rows that a call writes; none for a read."""
    if operation in {"put_item", "update_item", "delete_item"}:
        yield _key(params)
    elif operation == "transact_write_items":
        yield from (_key(write) for item in params["TransactItems"] for write in item.values())
    elif operation == "batch_write_item":
        (requests,) = params["RequestItems"].values()
        yield from (_key(request["DeleteRequest"]) for request in requests)


def _key(write: Mapping[str, Any]) -> tuple[Any, Any]:
    row = decode_row(write.get("Key") or write["Item"])
    return row["pk"], row["sk"]


@dataclass
class Counted:
    """A Ferry whose calls are counted, and a client that sends it one file."""

    ledger_client: Meter
    clock: SettableClock = field(default_factory=SettableClock)
    log: Log = field(default_factory=Log)
    requests: int = 0
    chunks: int = 0
    puts_by_clients: int = 0

    def __post_init__(self) -> None:
        self.objects = MemoryObjects(self.clock)
        self.engine = Engine(
            ledger=DynamoLedger(cast(Any, self.ledger_client), self.ledger_client.table, self.clock),
            objects=faulty(self.objects, log=self.log),
            worker=NoWorker(),
            clock=self.clock,
            session_idle=DAY,
            session_max_age=7 * DAY,
            url_lifetime=900,
            new_id=CountingIds(),
        )

    def bill(self) -> Bill:
        """Everything since the beginning."""
        known = LIKE_A_PUT | LIKE_A_GET | FREE
        assert known.issuperset(self.log.methods), set(self.log.methods) - known
        puts = sum(self.log.count(method) for method in LIKE_A_PUT)
        further_pages = self.objects.pages - self.log.count("list_parts")
        return Bill(
            puts=puts + further_pages + self.puts_by_clients,
            gets=sum(self.log.count(method) for method in LIKE_A_GET),
            write_units=self.ledger_client.write_units,
            read_units=self.ledger_client.read_units,
            dynamodb_calls=self.ledger_client.calls.total(),
            requests=self.requests,
            chunks=self.chunks,
        )

    def sweep(self) -> None:
        """A run of the schedule, after the stages of a completed upload have become due."""
        self.clock.advance(2 * HOUR)
        assert sweep_due(self.engine, has_time=lambda: True).complete

    def send(self, grid: Grid, *, direct: bool) -> None:
        """One file by one path, from start to complete."""
        body = bytes(grid.size)
        started = start(self.engine, NS, StartRequest(NAME, grid.size, chunk_size=grid.chunk_size))
        assert started.upload is not None
        upload_id = started.upload.session.upload_id
        assert started.upload.session.grid == grid
        self.requests += 1
        if direct:
            self._put_parts(grid, upload_id, body)
        else:
            for index in range(1, grid.chunk_count + 1):
                chunk = ChunkRequest(NAME, index, body[: grid.length_of_chunk(index)], upload_id=upload_id)
                send(self.engine, NS, chunk)
            self.chunks += grid.chunk_count
            self.requests += grid.chunk_count
        assert isinstance(complete(self.engine, NS, CompleteRequest(NAME, upload_id)), File)
        self.requests += 1

    def _put_parts(self, grid: Grid, upload_id: str, body: bytes) -> None:
        for first in range(1, grid.part_count + 1, SIGNED_AT_ONCE):
            last = min(first + SIGNED_AT_ONCE, grid.part_count + 1)
            wanted = [(number, None) for number in range(first, last)]
            for part in sign(self.engine, NS, PartsRequest(NAME, wanted, upload_id)):
                answer = self.objects.put_presigned(part.url, body[: part.size], part.headers)
                assert answer.status == 200
            self.requests += 1
        self.puts_by_clients += grid.part_count


@contextmanager
def _tiny(chunks_per_part: int) -> Iterator[None]:
    """A grid like the real one, but for the lengths."""
    part = chunks_per_part * TINY
    with (
        patch.multiple("ferry.grid", MIN_CHUNK_SIZE=TINY, DEFAULT_PART_SIZE=part),
        patch("tests.fakes.objects.MIN_PART_SIZE", TINY),
    ):
        yield


def count(size: int, chunk_size: int = 4 * MIB, *, direct: bool) -> Bill:
    """The bill for a file of that size by that path, its clean-up included; what the schedule costs anyway is not."""
    grid = Grid.plan(size, chunk_size)
    if direct:
        return _count(grid.part_count, 1, direct=True)
    return _count(grid.chunk_count, grid.chunks_per_part, direct=False)


@cache
def _count(pieces: int, per_part: int, *, direct: bool) -> Bill:
    with _tiny(per_part), mock_aws():
        client = AwsSession({}).dynamodb
        for table in ("idle", "counted"):
            make_table(client, "LedgerTable", table)
        idle, counted = Counted(Meter(client, "idle")), Counted(Meter(client, "counted"))
        idle.sweep()
        counted.send(Grid.plan(pieces * TINY, TINY), direct=direct)
        counted.sweep()
        return counted.bill().minus(idle.bill())
