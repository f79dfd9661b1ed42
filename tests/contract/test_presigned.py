"""The object store's contract: presigned URLs, as a client uses them."""

from __future__ import annotations

import pytest

from ferry.ports.errors import MultipartUploadNotFound
from ferry.rules.conditions import format_http_date
from ferry.rules.digests import crc32c
from tests.contract.conftest import LOCALSTACK, MEMORY, SEAWEEDFS, StoreFixture
from tests.contract.samples import (
    FIRST_PART,
    KEY,
    LAST_PART,
    WHOLE_BODY,
    WHOLE_CRC32C,
    list_all_parts,
    md5,
    put_object,
    start_multipart,
)


@pytest.mark.proves(MEMORY, SEAWEEDFS)  # LocalStack wants a checksum with every part; S3 does not, if FULL_OBJECT
def test_presign_part_without_checksum_accepts_part(store: StoreFixture) -> None:
    """A part sent to its URL without any header is there; without a checksum nobody asks for one."""
    multipart_id = start_multipart(store.objects, FIRST_PART)
    signed = store.objects.presign_part(KEY, multipart_id, 2, size=len(LAST_PART), crc32c=None, ttl_seconds=60)
    assert signed.headers == {}
    assert store.send("PUT", signed.url, LAST_PART, {}).status == 200
    assert list_all_parts(store.objects, multipart_id)[1].etag == f'"{md5(LAST_PART).hex()}"'


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_presign_part_with_checksum_accepts_part(store: StoreFixture) -> None:
    """A part sent to its URL with its checksum is there like any other, twice or once."""
    objects = store.objects
    multipart_id = start_multipart(objects, FIRST_PART)
    for _ in range(2):
        signed = objects.presign_part(
            KEY, multipart_id, 2, size=len(LAST_PART), crc32c=crc32c(LAST_PART), ttl_seconds=60
        )
        assert store.send("PUT", signed.url, LAST_PART, signed.headers).status == 200
    parts = list_all_parts(objects, multipart_id)
    assert [(part.number, part.size, part.etag) for part in parts] == [
        (1, len(FIRST_PART), f'"{md5(FIRST_PART).hex()}"'),
        (2, len(LAST_PART), f'"{md5(LAST_PART).hex()}"'),
    ]
    made = objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE_BODY), crc32c=WHOLE_CRC32C)
    assert made.crc32c == WHOLE_CRC32C


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_presign_part_rejects_other_bytes(store: StoreFixture) -> None:
    """Another length, other bytes, another or no checksum: refused, and nothing is stored."""
    objects = store.objects
    multipart_id = start_multipart(objects)
    other = bytes(len(LAST_PART))
    plain = objects.presign_part(KEY, multipart_id, 1, size=len(LAST_PART), crc32c=None, ttl_seconds=60)
    exact = objects.presign_part(KEY, multipart_id, 1, size=len(LAST_PART), crc32c=crc32c(LAST_PART), ttl_seconds=60)
    foreign = objects.presign_part(KEY, multipart_id, 1, size=len(LAST_PART), crc32c=crc32c(other), ttl_seconds=60)
    refused = [
        store.send("PUT", plain.url, LAST_PART + b"x", {}).status,
        store.send("PUT", plain.url, LAST_PART[:-1], {}).status,
        store.send("PUT", plain.url, LAST_PART, exact.headers).status,
        store.send("PUT", plain.url.replace("partNumber=1", "partNumber=2"), LAST_PART, {}).status,
        store.send("PUT", exact.url, other, exact.headers).status,
        store.send("PUT", exact.url, LAST_PART, {}).status,
        store.send("PUT", exact.url, other, foreign.headers).status,
    ]
    assert refused == [403, 403, 403, 403, 400, 403, 403]
    assert objects.list_parts(KEY, multipart_id, max_part_number=10_000) == {}


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_presign_part_after_abort_rejects_part(store: StoreFixture) -> None:
    """The URL outlives the upload, but brings nothing back."""
    multipart_id = start_multipart(store.objects)
    signed = store.objects.presign_part(KEY, multipart_id, 1, size=len(LAST_PART), crc32c=None, ttl_seconds=60)
    store.objects.abort_multipart(KEY, multipart_id)
    assert store.send("PUT", signed.url, LAST_PART, signed.headers).status == 404
    with pytest.raises(MultipartUploadNotFound):
        store.objects.list_parts(KEY, multipart_id, max_part_number=10_000)


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_presign_get_returns_requested_headers(store: StoreFixture) -> None:
    """The bytes, the object's ETag and date, and the headers that were asked for, whatever was stored."""
    made = put_object(store.objects, KEY, LAST_PART)
    disposition = "attachment; filename=\"a 'b'.txt\"; filename*=UTF-8''a%20%27b%27%E2%82%AC.txt"
    url = store.objects.presign_get(
        KEY, content_type="text/x-a; charset=utf-8", disposition=disposition, ttl_seconds=60
    )
    answer = store.send("GET", url, b"", {})
    head = store.objects.head(KEY)
    assert (answer.status, answer.body) == (200, LAST_PART)
    assert head is not None
    assert head.last_modified_seconds is not None
    told = ("content-type", "content-disposition", "etag", "last-modified")
    assert {name: answer.headers[name] for name in told} == {
        "content-type": "text/x-a; charset=utf-8",
        "content-disposition": disposition,
        "etag": made.etag,
        "last-modified": format_http_date(head.last_modified_seconds),
    }
    assert store.send("PUT", url, LAST_PART, {}).status == 403
