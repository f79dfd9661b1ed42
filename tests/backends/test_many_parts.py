"""A file of many parts straight to S3: a hundred by default, and 10 GB of them with `--parts=2000`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from dev.fakes.faults import CallLog, with_faults
from ferry.model.files import File
from ferry.rules.digests import combine_crc32c_all, crc32c
from ferry.rules.layout import MIB, MIN_PART_BYTES
from ferry.services import Services
from ferry.status.snapshot import get_status
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.presign import PartsRequest, PresignedPart, presign_parts
from ferry.uploads.start import StartRequest, start
from tests.backends.files import NS, put_presigned

CONNECTIONS = 4
READ_SIZE_BYTES = 4 * MIB


def part_body(number: int) -> bytes:
    """A part that differs from every other."""
    return number.to_bytes(16) * (MIN_PART_BYTES // 16)


def put_part(part: PresignedPart) -> tuple[int, int]:
    """Its status and the CRC32C of its bytes."""
    body = part_body(part.part_number)
    return put_presigned(part, body).status, crc32c(body)


def sha256_of(url: str) -> str:
    """Of what a URL gives, read piece by piece."""
    split, found = urlsplit(url), hashlib.sha256()
    connection = HTTPConnection(split.netloc)
    try:
        connection.request("GET", f"{split.path}?{split.query}")
        response = connection.getresponse()
        while piece := response.read(READ_SIZE_BYTES):
            found.update(piece)
    finally:
        connection.close()
    return found.hexdigest()


def test_presigned_upload_many_parts_completes(
    instances: Sequence[Services], monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    """Each once, from four connections: the file is they in their order, and its own calls do not grow with them."""
    monkeypatch.setattr("ferry.rules.layout.DEFAULT_PART_BYTES", MIN_PART_BYTES)
    count = pytestconfig.getoption("parts")
    log = CallLog()
    engine = replace(
        instances[0],
        upload_repository=with_faults(instances[0].upload_repository, log=log),
        cleanup_repository=with_faults(instances[0].cleanup_repository, log=log),
        object_store=with_faults(instances[0].object_store, log=log),
    )
    name, size = f"parts-{count}", count * MIN_PART_BYTES
    started = start(engine, NS, StartRequest(name, size, chunk_size=MIB))
    assert started.upload is not None
    upload_id = started.upload.record.upload_id
    crcs: list[int] = []
    signing = len(log.calls)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for first in range(1, count + 1, 100):
            wanted = [(number, None) for number in range(first, min(first + 100, count + 1))]
            for answered, crc in pool.map(put_part, presign_parts(engine, NS, PartsRequest(name, wanted, upload_id))):
                assert answered == 200
                crcs.append(crc)
    signing = len(log.calls) - signing
    assert get_status(engine, NS, name).received_bytes == size

    before = len(log.calls)
    file = complete(engine, NS, CompleteRequest(name, upload_id))
    assert isinstance(file, File)
    assert (file.size, file.crc32c) == (size, combine_crc32c_all((crc, MIN_PART_BYTES) for crc in crcs))
    assert len(log.calls) - before <= 6
    assert signing <= 1 + 2 * -(-count // 100)

    expected = hashlib.sha256()
    for number in range(1, count + 1):
        expected.update(part_body(number))
    url = engine.object_store.presign_get(f"o/{upload_id}", content_type="a/b", disposition="inline", ttl_seconds=900)
    assert sha256_of(url) == expected.hexdigest()
