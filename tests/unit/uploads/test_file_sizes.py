"""Every file size at the edges of chunks and parts, with their true lengths, by each path and by both."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dev.fakes.faults import CallLog
from ferry.model.files import File
from ferry.rules import digests
from ferry.rules.layout import KIB, MIB
from tests.support.in_memory_service import Client, InMemoryService, seeded_bytes

PART_BYTES = 8 * MIB
EDGE_SIZES = [
    *(0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1),
    *(4 * MIB - 1, 4 * MIB, 4 * MIB + 1),
    *(5 * MIB - 1, 5 * MIB, 5 * MIB + 1),
    *(PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 1),
]
CHUNK_SIZES = [64 * KIB, 4 * MIB]


@pytest.fixture
def service() -> InMemoryService:
    """Return a service with parts of the real size."""
    return InMemoryService()


def by_chunks(client: Client) -> None:
    """Send everything as chunks, in random order."""
    order = list(range(1, client.chunk_count + 1))
    random.Random(len(client.body)).shuffle(order)
    client.send_chunks(order)


def presigned_parts(client: Client, numbers: Iterator[int] | range | None = None) -> None:
    """Send everything straight to S3, the last part first."""
    for number in numbers or reversed(range(1, -(-len(client.body) // PART_BYTES) + 1)):
        assert client.put_part(client.presign_part(number), client.part_body(number)).status == 200


def alternating_parts(client: Client) -> None:
    """Send odd parts as chunks, even ones straight to S3."""
    per_part = PART_BYTES // client.chunk_size
    for number in range(1, -(-len(client.body) // PART_BYTES) + 1):
        if number % 2:
            first = (number - 1) * per_part + 1
            client.send_chunks(range(first, min(first + per_part, client.chunk_count + 1)))
        else:
            presigned_parts(client, iter([number]))


def chunks_then_presigned(client: Client) -> None:
    """Send the first chunk of every part, then each part straight, then the last chunk of the file again."""
    per_part = PART_BYTES // client.chunk_size
    client.send_chunks(range(1, client.chunk_count + 1, per_part))
    presigned_parts(client)
    client.send_chunk(client.chunk_count)


def presigned_then_chunks(client: Client) -> None:
    """Send each part straight with wrong bytes, then as chunks with the right ones."""
    for number in range(1, -(-len(client.body) // PART_BYTES) + 1):
        body = client.part_body(number)[::-1]
        assert client.put_part(client.presign_part(number), body).status == 200
    by_chunks(client)


PATHS: dict[str, Callable[[Client], None]] = {
    "by chunks": by_chunks,
    "presigned parts": presigned_parts,
    "alternating parts": alternating_parts,
    "chunks then presigned": chunks_then_presigned,
    "presigned then chunks": presigned_then_chunks,
}
CASES = [
    pytest.param(
        size,
        chunk_size,
        path,
        marks=[pytest.mark.stress] if size > PART_BYTES + 1 and chunk_size == 64 * KIB else [],
    )
    for size in EDGE_SIZES
    for chunk_size in CHUNK_SIZES
    for path in PATHS
    if size or path == "by chunks"
]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "chunk_size", "path"), CASES)
def test_upload_every_size_and_path_produces_file(
    service: InMemoryService, size: int, chunk_size: int, path: str
) -> None:
    """The file has the client's bytes, length and CRC32C, and no multipart upload is left."""
    client = Client(service, seeded_bytes(size, seed=size + 1), chunk_size=chunk_size)
    client.start(crc32c=client.crc)
    if size:
        PATHS[path](client)
    file = client.complete()
    assert isinstance(file, File)
    assert service.file_content() == client.body
    assert (file.size, file.crc32c) == (size, client.crc)
    assert service.object_store.multipart_uploads == {}


@pytest.mark.parametrize("path", ["by chunks", "presigned parts", "alternating parts", "chunks then presigned"])
def test_complete_checksum_combined_without_reading(
    service: InMemoryService, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Completing reads no byte and computes no checksum over any: the file's CRC32C is combined from its parts'."""
    client = Client(service, seeded_bytes(3 * PART_BYTES + 1), chunk_size=4 * MIB)
    client.start()
    PATHS[path](client)
    crc = client.crc

    def compute(*_: Any) -> int:
        raise AssertionError("a checksum was computed over bytes")

    for module in ("rules.digests", "uploads.build_object", "uploads.chunk"):
        monkeypatch.setattr(f"ferry.{module}.crc32c", compute)
    log = CallLog()
    file = client.complete(service.new_services(log=log))
    assert isinstance(file, File)
    assert file.crc32c == crc
    [completed] = [call for call in log.calls if call.method == "complete_multipart"]
    assert completed.kwargs["crc32c"] == crc
    assert not {"get", "put", "upload_part"} & set(log.methods)
    assert digests.combine_crc32c_all((part.crc32c or 0, part.size) for part in completed.args[2]) == crc
