"""The contract of the object store: presigned URLs, as a client uses them."""

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


@pytest.mark.proves(MEMORY, SEAWEEDFS)  # LocalStack requires a checksum with every part; S3 does not for FULL_OBJECT
def test_presign_part_without_checksum_accepts_part(store: StoreFixture) -> None:
    """A part sent to its URL without any header is stored."""
    multipart_id = start_multipart(store.objects, FIRST_PART)
    presigned = store.objects.presign_part(KEY, multipart_id, 2, size=len(LAST_PART), crc32c=None, ttl_seconds=60)
    assert presigned.headers == {}
    assert store.send("PUT", presigned.url, LAST_PART, {}).status == 200
    assert list_all_parts(store.objects, multipart_id)[1].etag == f'"{md5(LAST_PART).hex()}"'


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_presign_part_with_checksum_accepts_part(store: StoreFixture) -> None:
    """A part sent with its checksum, once or twice, is stored like any other."""
    objects = store.objects
    multipart_id = start_multipart(objects, FIRST_PART)
    for _ in range(2):
        presigned = objects.presign_part(
            KEY, multipart_id, 2, size=len(LAST_PART), crc32c=crc32c(LAST_PART), ttl_seconds=60
        )
        assert store.send("PUT", presigned.url, LAST_PART, presigned.headers).status == 200
    parts = list_all_parts(objects, multipart_id)
    assert [(part.number, part.size, part.etag) for part in parts] == [
        (1, len(FIRST_PART), f'"{md5(FIRST_PART).hex()}"'),
        (2, len(LAST_PART), f'"{md5(LAST_PART).hex()}"'),
    ]
    stored = objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE_BODY), crc32c=WHOLE_CRC32C)
    assert stored.crc32c == WHOLE_CRC32C


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_presign_part_rejects_other_bytes(store: StoreFixture) -> None:
    """Another length, other bytes, or another or a missing checksum is rejected, and nothing is stored."""
    objects = store.objects
    multipart_id = start_multipart(objects)
    other_body = bytes(len(LAST_PART))
    plain = objects.presign_part(KEY, multipart_id, 1, size=len(LAST_PART), crc32c=None, ttl_seconds=60)
    exact = objects.presign_part(KEY, multipart_id, 1, size=len(LAST_PART), crc32c=crc32c(LAST_PART), ttl_seconds=60)
    foreign = objects.presign_part(KEY, multipart_id, 1, size=len(LAST_PART), crc32c=crc32c(other_body), ttl_seconds=60)
    statuses = [
        store.send("PUT", plain.url, LAST_PART + b"x", {}).status,
        store.send("PUT", plain.url, LAST_PART[:-1], {}).status,
        store.send("PUT", plain.url, LAST_PART, exact.headers).status,
        store.send("PUT", plain.url.replace("partNumber=1", "partNumber=2"), LAST_PART, {}).status,
        store.send("PUT", exact.url, other_body, exact.headers).status,
        store.send("PUT", exact.url, LAST_PART, {}).status,
        store.send("PUT", exact.url, other_body, foreign.headers).status,
    ]
    assert statuses == [403, 403, 403, 403, 400, 403, 403]
    assert objects.list_parts(KEY, multipart_id, max_part_number=10_000) == {}


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_presign_part_after_abort_rejects_part(store: StoreFixture) -> None:
    """A URL is useless once the multipart upload is aborted."""
    multipart_id = start_multipart(store.objects)
    presigned = store.objects.presign_part(KEY, multipart_id, 1, size=len(LAST_PART), crc32c=None, ttl_seconds=60)
    store.objects.abort_multipart(KEY, multipart_id)
    assert store.send("PUT", presigned.url, LAST_PART, presigned.headers).status == 404
    with pytest.raises(MultipartUploadNotFound):
        store.objects.list_parts(KEY, multipart_id, max_part_number=10_000)


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_presign_get_returns_requested_headers(store: StoreFixture) -> None:
    """The response has the bytes, ETag and date of the object, and the headers that were signed."""
    stored = put_object(store.objects, KEY, LAST_PART)
    disposition = "attachment; filename=\"a 'b'.txt\"; filename*=UTF-8''a%20%27b%27%E2%82%AC.txt"
    url = store.objects.presign_get(
        KEY, content_type="text/x-a; charset=utf-8", disposition=disposition, ttl_seconds=60
    ).url
    response = store.send("GET", url, b"", {})
    head = store.objects.head(KEY)
    assert (response.status, response.body) == (200, LAST_PART)
    assert head is not None
    assert head.last_modified_seconds is not None
    names = ("content-type", "content-disposition", "etag", "last-modified")
    assert {name: response.headers[name] for name in names} == {
        "content-type": "text/x-a; charset=utf-8",
        "content-disposition": disposition,
        "etag": stored.etag,
        "last-modified": format_http_date(head.last_modified_seconds),
    }
    assert store.send("PUT", url, LAST_PART, {}).status == 403
