"""A file of many parts straight to S3: a hundred by default, and 10 GB of them with `--parts=2000`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from ferry.digests import combine_all, crc32c
from ferry.engine import Engine
from ferry.grid import MIB, MIN_PART_SIZE
from ferry.model import File
from ferry.progress import status
from ferry.uploads.complete import CompleteRequest, complete
from ferry.uploads.parts import PartsRequest, SignedPart, sign
from ferry.uploads.start import StartRequest, start
from tests.backends.files import NS, put
from tests.fakes.faults import Log, faulty

CONNECTIONS = 4
PIECE = 4 * MIB


def body_of(number: int) -> bytes:
    """A part that differs from every other."""
    return number.to_bytes(16) * (MIN_PART_SIZE // 16)


def put_part(part: SignedPart) -> tuple[int, int]:
    """Its status and the CRC32C of its bytes."""
    body = body_of(part.number)
    return put(part, body).status, crc32c(body)


def sha256_of(url: str) -> str:
    """Of what a URL gives, read piece by piece."""
    split, found = urlsplit(url), hashlib.sha256()
    connection = HTTPConnection(split.netloc)
    try:
        connection.request("GET", f"{split.path}?{split.query}")
        response = connection.getresponse()
        while piece := response.read(PIECE):
            found.update(piece)
    finally:
        connection.close()
    return found.hexdigest()


def test_many_parts(copies: Sequence[Engine], monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config) -> None:
    """Each once, from four connections: the file is they in their order, and its own calls do not grow with them."""
    monkeypatch.setattr("ferry.grid.DEFAULT_PART_SIZE", MIN_PART_SIZE)
    count = pytestconfig.getoption("parts")
    log = Log()
    engine = replace(copies[0], ledger=faulty(copies[0].ledger, log=log), objects=faulty(copies[0].objects, log=log))
    name, size = f"parts-{count}", count * MIN_PART_SIZE
    started = start(engine, NS, StartRequest(name, size, chunk_size=MIB))
    assert started.upload is not None
    upload_id = started.upload.session.upload_id
    crcs: list[int] = []
    signing = len(log.calls)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for first in range(1, count + 1, 100):
            wanted = [(number, None) for number in range(first, min(first + 100, count + 1))]
            for answered, crc in pool.map(put_part, sign(engine, NS, PartsRequest(name, wanted, upload_id))):
                assert answered == 200
                crcs.append(crc)
    signing = len(log.calls) - signing
    assert status(engine, NS, name).received_bytes == size

    before = len(log.calls)
    file = complete(engine, NS, CompleteRequest(name, upload_id))
    assert isinstance(file, File)
    assert (file.size, file.crc32c) == (size, combine_all((crc, MIN_PART_SIZE) for crc in crcs))
    assert len(log.calls) - before <= 6
    assert signing <= 1 + 2 * -(-count // 100)

    expected = hashlib.sha256()
    for number in range(1, count + 1):
        expected.update(body_of(number))
    url = engine.objects.presign_get(f"o/{upload_id}", content_type="a/b", disposition="inline", lifetime=900)
    assert sha256_of(url) == expected.hexdigest()
