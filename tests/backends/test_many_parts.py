"""Upload a file of many parts straight to S3: 100 parts by default, 2,000 parts (10 GB) in `make prove-many-parts`."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
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
from ferry.uploads.start import start
from ferry.uploads.start_request import StartRequest
from tests.backends.files import NS, put_presigned

CONNECTIONS = 4
PRESIGN_BATCH = 100
"""Parts signed by one request."""

MAX_COMPLETION_CALLS = 6
"""Calls to the backends of one completion, whatever the number of parts."""

READ_SIZE_BYTES = 4 * MIB


def part_body(number: int) -> bytes:
    """Return the bytes of a part, which differ from every other part's."""
    return number.to_bytes(16) * (MIN_PART_BYTES // 16)


def put_part(part: PresignedPart) -> tuple[int, int]:
    """Send a part, and return the response's status and the CRC32C of the part's bytes."""
    body = part_body(part.part_number)
    return put_presigned(part, body).status, crc32c(body)


def sha256_of(url: str) -> str:
    """Return the SHA-256 of a URL's content, read in pieces."""
    split, digest = urlsplit(url), hashlib.sha256()
    connection = HTTPConnection(split.netloc)
    try:
        connection.request("GET", f"{split.path}?{split.query}")
        response = connection.getresponse()
        while piece := response.read(READ_SIZE_BYTES):
            digest.update(piece)
    finally:
        connection.close()
    return digest.hexdigest()


def send_parts(services: Services, name: str, upload_id: str, part_count: int) -> list[int]:
    """Sign and send every part once, over several connections, and return the CRC32C of each."""
    crcs: list[int] = []
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for first in range(1, part_count + 1, PRESIGN_BATCH):
            numbers = range(first, min(first + PRESIGN_BATCH, part_count + 1))
            request = PartsRequest(name, [(number, None) for number in numbers], upload_id)
            for status, crc in pool.map(put_part, presign_parts(services, NS, request)):
                assert status == 200
                crcs.append(crc)
    return crcs


def test_presigned_upload_many_parts_completes(
    instances: Sequence[Services],
    monkeypatch: pytest.MonkeyPatch,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    """The file has every part in order, and the calls of its completion do not depend on the number of parts."""
    monkeypatch.setattr("ferry.rules.layout.DEFAULT_PART_BYTES", MIN_PART_BYTES)
    part_count = pytestconfig.getoption("parts")
    log = CallLog()
    services = replace(
        instances[0],
        upload_repository=with_faults(instances[0].upload_repository, log=log),
        cleanup_repository=with_faults(instances[0].cleanup_repository, log=log),
        object_store=with_faults(instances[0].object_store, log=log),
    )
    name, size = f"parts-{part_count}", part_count * MIN_PART_BYTES
    started = start(services, NS, StartRequest(name, size, chunk_size=MIB))
    assert started.upload is not None
    upload_id = started.upload.record.upload_id

    calls_before, started_at = len(log.calls), time.perf_counter()
    crcs = send_parts(services, name, upload_id, part_count)
    signing_calls, sending_seconds = len(log.calls) - calls_before, time.perf_counter() - started_at
    assert signing_calls <= 1 + 2 * -(-part_count // PRESIGN_BATCH)
    assert get_status(services, NS, name).received_bytes == size

    calls_before, started_at = len(log.calls), time.perf_counter()
    file = complete(services, NS, CompleteRequest(name, upload_id))
    completion_calls, completion_seconds = len(log.calls) - calls_before, time.perf_counter() - started_at
    assert isinstance(file, File)
    assert (file.size, file.crc32c) == (size, combine_crc32c_all((crc, MIN_PART_BYTES) for crc in crcs))
    assert completion_calls <= MAX_COMPLETION_CALLS

    digest = hashlib.sha256()
    for number in range(1, part_count + 1):
        digest.update(part_body(number))
    presigned = services.object_store.presign_get(
        f"o/{upload_id}", content_type="a/b", disposition="inline", ttl_seconds=900
    )
    assert sha256_of(presigned.url) == digest.hexdigest()

    record_property("parts", part_count)
    record_property("bytes", size)
    record_property("signing_calls", signing_calls)
    record_property("sending_seconds", round(sending_seconds, 1))
    record_property("completion_calls", completion_calls)
    record_property("completion_seconds", round(completion_seconds, 2))
