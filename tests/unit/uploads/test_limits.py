"""Limits: the largest files, ten thousand parts, the memory of an assembly, the size of rows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from dev.fakes.faults import CallLog
from dev.fakes.object_store import MemoryObjectStore
from dev.testing.item_sizes import row_bytes
from ferry.aws import chunk_digests
from ferry.aws import metadata_rows as rows
from ferry.errors import ChunksUnavailable, InvalidField
from ferry.model.files import File
from ferry.model.progress import COMPACTION_THRESHOLD, ProgressShard
from ferry.model.uploads import ChunkDigest, UploadRecord, UploadState
from ferry.rules.layout import GIB, KIB, MAX_FILE_BYTES, MAX_PART_BYTES, MIB, ChunkLayout
from ferry.uploads.chunk import ChunkRequest, accept_chunk
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.support.in_memory_service import NAME, NS, Client, InMemoryService, seeded_bytes

WRITE_UNIT_BYTES = KIB
READ_UNIT_BYTES = 4 * KIB
PARTITION_WRITES_PER_SECOND = 1_000
PARTITION_READS_PER_SECOND = 3_000
CHUNKS_PER_SECOND = 200


def test_start_max_file_size_accepted() -> None:
    """A file of 48.8 TiB, ten thousand parts of 5 GiB, is accepted; one byte more is rejected."""
    for chunk_size in (64 * KIB, 4 * MIB):
        layout = ChunkLayout.plan(MAX_FILE_BYTES, chunk_size)
        assert (layout.part_count, layout.part_size, layout.part_length(10_000)) == (
            10_000,
            MAX_PART_BYTES,
            MAX_PART_BYTES,
        )
    service = InMemoryService()
    with pytest.raises(InvalidField):
        start(service.services, NS, StartRequest(NAME, MAX_FILE_BYTES + 1))
    assert start(service.services, NS, StartRequest(NAME, MAX_FILE_BYTES)).created
    with pytest.raises(ChunksUnavailable):
        accept_chunk(service.services, NS, ChunkRequest(NAME, 1, bytes(4 * MIB)))


@pytest.mark.parametrize("size", [1, 8 * MIB + 1, 80 * GIB, 256 * GIB, 312 * GIB])
@pytest.mark.parametrize("chunk_size", [64 * KIB, MIB, 4 * MIB])
def test_layout_up_to_312_gib_supports_chunks(size: int, chunk_size: int) -> None:
    """Up to 312 GiB, parts fit into a function's memory, shards into one transaction, and every chunk has one bit."""
    layout = ChunkLayout.plan(size, chunk_size)
    assert layout.supports_chunks
    assert layout.part_count <= 10_000
    assert layout.shard_count <= 90
    assert layout.chunk_count <= layout.shard_count * 3_072 + layout.shard_count * layout.chunks_per_part
    for index in {1, 2, layout.chunks_per_part, layout.chunk_count // 2 + 1, layout.chunk_count}:
        if layout.has_chunk(index):
            shard = layout.shard_for_part(layout.part_for_chunk(index))
            assert layout.chunk_for_bit(shard, layout.bit_for_chunk(index)) == index


@pytest.mark.slow
def test_complete_ten_thousand_parts_call_count_constant(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ten thousand parts, half of them sent as chunks, completing takes as many calls as with few."""
    for name, value in {"MIN_CHUNK_BYTES": 16, "DEFAULT_PART_BYTES": 16}.items():
        monkeypatch.setattr(f"ferry.rules.layout.{name}", value)
    monkeypatch.setattr("dev.fakes.object_store.MIN_PART_BYTES", 16)
    service = InMemoryService()
    client = Client(service, seeded_bytes(10_000 * 16), chunk_size=16)
    client.start()
    for index in range(1, 10_001, 2):
        client.send_chunk(index)
    for number in range(2, 10_001, 2):
        assert client.put_part(client.presign_part(number), client.part_body(number)).status == 200
    log = CallLog()
    assert isinstance(client.complete(services=service.new_services(log=log)), File)
    assert service.file_content() == client.body
    assert log.methods == [
        *(
            "get_current_upload",
            "get_upload",
            "list_parts",
            "acquire_lease",
            "get_all_chunk_digests",
            "complete_multipart",
            "head",
            "commit_file",
        ),
    ]


class CopyingObjects(MemoryObjectStore):
    """Returns new bytes objects, as a network does."""

    def get(self, key: str, first: int | None = None, last: int | None = None) -> bytes | None:
        found = super().get(key, first, last)
        return None if found is None else bytes(bytearray(found))


@pytest.mark.slow
def test_assembly_largest_part_memory_bounded() -> None:
    """Assembling the largest part takes less than three times the memory of that part and the request's chunk."""
    service = InMemoryService()
    service.object_store = CopyingObjects(service.clock)
    services = service.new_services()
    started = start(services, NS, StartRequest(NAME, 312 * GIB))
    assert started.upload is not None
    layout = started.upload.record.layout
    assert layout.part_size == 32 * MIB
    chunks = [seeded_bytes(layout.chunk_size, seed=index) for index in range(1, 9)]
    for index, chunk in enumerate(chunks[:-1], 1):
        accept_chunk(services, NS, ChunkRequest(NAME, index, chunk))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    accept_chunk(services, NS, ChunkRequest(NAME, 8, chunks[-1]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    [upload] = service.object_store.multipart_uploads.values()
    assert upload.parts[1][1] == b"".join(chunks)
    assert peak - before < 3 * (layout.part_size + layout.chunk_size)


def full_progress_shard_row() -> Mapping[str, Any]:
    """Return the largest progress shard: a full bitmap, and two full sets of the highest numbers."""
    high = range(3_072 - COMPACTION_THRESHOLD, 3_072)
    return rows.shard_to_row(
        "f" * 32,
        ProgressShard(
            89,
            open=True,
            last_activity_at=2**41,
            bits=(1 << 3_072) - 1,
            recent_bits=frozenset(high),
            previous_bits=frozenset(high),
            received_bytes=2**39,
            epoch=4_000,
            version=10**6,
            has_presigned_parts=True,
            has_replaced_digests=True,
        ),
        2**31,
    )


def progress_read_units(shard_count: int, recorded: int) -> int:
    """Return the read units of the progress of an upload of 4 MiB chunks or less, in which each of the first `recorded`
    positions of every shard has arrived and half the chunks of a compaction are recent.
    """
    recent_count = min(recorded, COMPACTION_THRESHOLD // 2)
    previous_count = min(recorded - recent_count, COMPACTION_THRESHOLD)
    shard = ProgressShard(
        shard_count - 1,
        open=True,
        last_activity_at=2**41,
        bits=(1 << recorded) - 1,
        recent_bits=frozenset(range(recorded - recent_count, recorded)),
        previous_bits=frozenset(range(recorded - recent_count - previous_count, recorded - recent_count)),
        received_bytes=recorded * 4 * MIB,
        epoch=recorded // COMPACTION_THRESHOLD,
        version=recorded,
    )
    return -(-shard_count * row_bytes(rows.shard_to_row("f" * 32, shard, 2**31)) // READ_UNIT_BYTES)


def test_progress_of_largest_uploads_costs_documented_read_units() -> None:
    """At 90 shards a chunk reads 14 to 18 units, so docs/limits.md promises 170 to 210 chunks a second, not 500."""
    shards = ChunkLayout.plan(312 * GIB).shard_count
    most = ChunkLayout.plan(16 * GIB, 64 * KIB).shard_count
    assert (shards, most) == (26, 86)
    units = {
        (count, recorded): progress_read_units(count, recorded) for count in (26, 90) for recorded in (1_536, 3_072)
    }
    assert units == {(26, 1_536): 4, (26, 3_072): 6, (90, 1_536): 14, (90, 3_072): 18}
    rates = [PARTITION_READS_PER_SECOND / units[90, recorded] for recorded in (3_072, 1_536)]
    assert [round(rate, -1) for rate in rates] == [170, 210]


def full_chunk_digests_row(layout: ChunkLayout) -> Mapping[str, Any]:
    """Return a row with the digests of all chunks of a part, with the highest indexes."""
    first = layout.chunk_count - layout.chunks_per_part
    digest = chunk_digests.digest_to_bytes(ChunkDigest(bytes(16), 2**32 - 1, stored_at=2**41))
    keys = dict(zip(("pk", "sk"), rows.chunk_digest_key("f" * 32, 10_000), strict=True))
    return (
        keys
        | {"ttl": 2**31}
        | {chunk_digests.digest_name(first + n): digest for n in range(1, layout.chunks_per_part + 1)}
    )


def test_progress_shard_full_fits_one_write_unit() -> None:
    """The largest progress shard fits one write unit, so recording costs the same for every chunk."""
    assert row_bytes(full_progress_shard_row()) <= WRITE_UNIT_BYTES


def test_rows_largest_below_item_limit() -> None:
    """The largest rows, many chunk digests and a record full of metadata, stay far below 400 KB."""
    assert row_bytes(full_chunk_digests_row(ChunkLayout.plan(16 * GIB, 64 * KIB))) < 8 * KIB
    layout = ChunkLayout.plan(1, MIB)
    text = "/".join(["\N{GRINNING FACE}" * 62] * 4)
    file = File("n" * 64, text, "f" * 32, 1, "e" * 40, 1, "t" * 255, {"k": "v" * 2_000}, "f" * 256, 2**41, 2**32, 2**32)
    record = UploadRecord(
        "f" * 32,
        "n" * 64,
        text,
        layout,
        UploadState.COMPLETE,
        2**41,
        2**37,
        2**37,
        "t" * 255,
        {"k": "v" * 2_000},
        fingerprint="f" * 256,
        file=file,
    )
    assert row_bytes(rows.record_to_row(record, 2**41)) < 8 * KIB


@pytest.mark.parametrize("chunk_size", [64 * KIB, 256 * KIB, MIB, 4 * MIB])
def test_hot_upload_writes_below_partition_limit(chunk_size: int) -> None:
    """At 200 chunks a second, the key of a shard and the key of a part stay below the limit of a partition."""
    layout = ChunkLayout.plan(16 * GIB, chunk_size)
    recording = CHUNKS_PER_SECOND * -(-row_bytes(full_progress_shard_row()) // WRITE_UNIT_BYTES)
    registering = CHUNKS_PER_SECOND * -(-row_bytes(full_chunk_digests_row(layout)) // WRITE_UNIT_BYTES)
    assert recording < PARTITION_WRITES_PER_SECOND
    assert registering < PARTITION_WRITES_PER_SECOND
