"""The object store's contract: presigned URLs, as a client uses them."""

from __future__ import annotations

import pytest

from ferry.conditions import format_date
from ferry.digests import crc32c
from ferry.ports import NoSuchMultipart
from tests.contract.conftest import LOCALSTACK, MEMORY, SEAWEEDFS, Store
from tests.contract.samples import BIG, KEY, TAIL, WHOLE, WHOLE_CRC, begin, listed, md5, put


@pytest.mark.proves(MEMORY, SEAWEEDFS)  # LocalStack wants a checksum with every part; S3 does not, if FULL_OBJECT
def test_a_presigned_part_without_a_checksum(store: Store) -> None:
    """A part sent to its URL without any header is there; without a checksum nobody asks for one."""
    multipart_id = begin(store.objects, BIG)
    signed = store.objects.presign_part(KEY, multipart_id, 2, size=len(TAIL), crc32c=None, lifetime=60)
    assert signed.headers == {}
    assert store.send("PUT", signed.url, TAIL, {}).status == 200
    assert listed(store.objects, multipart_id)[1].etag == f'"{md5(TAIL).hex()}"'


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_a_presigned_part(store: Store) -> None:
    """A part sent to its URL with its checksum is there like any other, twice or once."""
    objects = store.objects
    multipart_id = begin(objects, BIG)
    for _ in range(2):
        signed = objects.presign_part(KEY, multipart_id, 2, size=len(TAIL), crc32c=crc32c(TAIL), lifetime=60)
        assert store.send("PUT", signed.url, TAIL, signed.headers).status == 200
    parts = listed(objects, multipart_id)
    assert [(part.number, part.size, part.etag) for part in parts] == [
        (1, len(BIG), f'"{md5(BIG).hex()}"'),
        (2, len(TAIL), f'"{md5(TAIL).hex()}"'),
    ]
    made = objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE), crc32c=WHOLE_CRC)
    assert made.crc32c == WHOLE_CRC


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_a_presigned_part_takes_nothing_else(store: Store) -> None:
    """Another length, other bytes, another or no checksum: refused, and nothing is stored."""
    objects = store.objects
    multipart_id = begin(objects)
    other = bytes(len(TAIL))
    plain = objects.presign_part(KEY, multipart_id, 1, size=len(TAIL), crc32c=None, lifetime=60)
    exact = objects.presign_part(KEY, multipart_id, 1, size=len(TAIL), crc32c=crc32c(TAIL), lifetime=60)
    foreign = objects.presign_part(KEY, multipart_id, 1, size=len(TAIL), crc32c=crc32c(other), lifetime=60)
    refused = [
        store.send("PUT", plain.url, TAIL + b"x", {}).status,
        store.send("PUT", plain.url, TAIL[:-1], {}).status,
        store.send("PUT", plain.url, TAIL, exact.headers).status,
        store.send("PUT", plain.url.replace("partNumber=1", "partNumber=2"), TAIL, {}).status,
        store.send("PUT", exact.url, other, exact.headers).status,
        store.send("PUT", exact.url, TAIL, {}).status,
        store.send("PUT", exact.url, other, foreign.headers).status,
    ]
    assert refused == [403, 403, 403, 403, 400, 403, 403]
    assert objects.list_parts(KEY, multipart_id, last=10_000) == {}


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_a_presigned_part_of_an_upload_that_is_gone(store: Store) -> None:
    """The URL outlives the upload, but brings nothing back."""
    multipart_id = begin(store.objects)
    signed = store.objects.presign_part(KEY, multipart_id, 1, size=len(TAIL), crc32c=None, lifetime=60)
    store.objects.abort_multipart(KEY, multipart_id)
    assert store.send("PUT", signed.url, TAIL, signed.headers).status == 404
    with pytest.raises(NoSuchMultipart):
        store.objects.list_parts(KEY, multipart_id, last=10_000)


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto listens on no socket
def test_a_presigned_get(store: Store) -> None:
    """The bytes, the object's ETag and date, and the headers that were asked for, whatever was stored."""
    made = put(store.objects, KEY, TAIL)
    disposition = "attachment; filename=\"a 'b'.txt\"; filename*=UTF-8''a%20%27b%27%E2%82%AC.txt"
    url = store.objects.presign_get(KEY, content_type="text/x-a; charset=utf-8", disposition=disposition, lifetime=60)
    answer = store.send("GET", url, b"", {})
    head = store.objects.head(KEY)
    assert (answer.status, answer.body) == (200, TAIL)
    assert head is not None
    assert head.modified is not None
    told = ("content-type", "content-disposition", "etag", "last-modified")
    assert {name: answer.headers[name] for name in told} == {
        "content-type": "text/x-a; charset=utf-8",
        "content-disposition": disposition,
        "etag": made.etag,
        "last-modified": format_date(head.modified),
    }
    assert store.send("PUT", url, TAIL, {}).status == 403
