"""The contract of the object store: multipart uploads and whole objects."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from ferry.aws import cursors
from ferry.errors import BackendUnavailable, InvalidField
from ferry.model.objects import StoredObject, StoredPart
from ferry.ports.errors import MultipartUploadNotFound, PartChanged, StoreChecksumMismatch
from ferry.ports.object_store import DeleteResult, ObjectStore
from ferry.rules.digests import crc32c
from tests.contract.conftest import LOCALSTACK, MEMORY, MOTO, SEAWEEDFS
from tests.contract.factories import FAR_FUTURE
from tests.contract.samples import (
    FIRST_PART,
    KEY,
    LAST_PART,
    OTHER_FIRST_PART,
    WHOLE_BODY,
    WHOLE_CRC32C,
    list_all_parts,
    md5,
    put_object,
    start_multipart,
)

# Multipart uploads


def test_multipart_upload_builds_object(objects: ObjectStore) -> None:
    """Parts in any order become one object, with an ETag of their MD5s and the CRC32C of all bytes."""
    multipart_id = objects.create_multipart(KEY, content_type="text/plain")
    for number, body in ((2, LAST_PART), (1, FIRST_PART)):
        objects.upload_part(KEY, multipart_id, number, body, crc32c=crc32c(body))
    assert objects.head(KEY) is None
    stored = objects.complete_multipart(
        KEY, multipart_id, list_all_parts(objects, multipart_id), size=len(WHOLE_BODY), crc32c=WHOLE_CRC32C
    )
    etag = f'"{hashlib.md5(md5(FIRST_PART) + md5(LAST_PART), usedforsecurity=False).hexdigest()}-2"'
    assert stored == StoredObject(etag, len(WHOLE_BODY), WHOLE_CRC32C)
    head = objects.head(KEY)
    assert head is not None
    assert (head.etag, head.size) == (etag, len(WHOLE_BODY))
    assert head.last_modified_seconds is not None
    assert objects.get(KEY) == WHOLE_BODY


def test_list_parts_returns_number_size_etag(objects: ObjectStore) -> None:
    """A listed part has its number, its size and its ETag in quotes, and its CRC32C if the store lists it."""
    multipart_id = start_multipart(objects, FIRST_PART, LAST_PART)
    for number, body in ((1, FIRST_PART), (2, LAST_PART)):
        part = objects.list_parts(KEY, multipart_id, max_part_number=10_000)[number]
        assert (part.number, part.size, part.etag) == (number, len(body), f'"{md5(body).hex()}"')
        assert part.crc32c in (None, crc32c(body))


def test_list_parts_of_empty_upload_is_empty(objects: ObjectStore) -> None:
    """A multipart upload without parts lists none; it does not raise."""
    multipart_id = start_multipart(objects)
    assert objects.list_parts(KEY, multipart_id, max_part_number=10_000) == {}


@pytest.mark.proves(MEMORY, MOTO, LOCALSTACK)  # SeaweedFS keeps both parts
def test_upload_part_again_replaces_part(objects: ObjectStore) -> None:
    """The part that arrives last counts; a completion that names the earlier one fails."""
    multipart_id = start_multipart(objects, FIRST_PART, LAST_PART)
    before = list_all_parts(objects, multipart_id)
    objects.upload_part(KEY, multipart_id, 1, OTHER_FIRST_PART, crc32c=crc32c(OTHER_FIRST_PART))
    with pytest.raises(PartChanged):
        objects.complete_multipart(KEY, multipart_id, before, size=len(WHOLE_BODY), crc32c=None)
    stored = objects.complete_multipart(
        KEY, multipart_id, list_all_parts(objects, multipart_id), size=len(WHOLE_BODY), crc32c=None
    )
    assert objects.get(KEY) == OTHER_FIRST_PART + LAST_PART
    assert stored.crc32c in (None, crc32c(OTHER_FIRST_PART + LAST_PART))


def test_upload_part_again_same_bytes_keeps_etag(objects: ObjectStore) -> None:
    """The same bytes sent twice are one part with the same ETag."""
    multipart_id = start_multipart(objects, FIRST_PART, LAST_PART)
    before = list_all_parts(objects, multipart_id)
    objects.upload_part(KEY, multipart_id, 1, FIRST_PART, crc32c=crc32c(FIRST_PART))
    assert list_all_parts(objects, multipart_id) == before
    objects.complete_multipart(KEY, multipart_id, before, size=len(WHOLE_BODY), crc32c=WHOLE_CRC32C)
    assert objects.get(KEY) == WHOLE_BODY


@pytest.mark.slow
@pytest.mark.large
@pytest.mark.proves(MEMORY, MOTO)  # the servers list more pages in test_listed_parts.py
def test_list_parts_beyond_one_page_returns_all(objects: ObjectStore) -> None:
    """More than 1,000 parts are listed."""
    multipart_id = start_multipart(objects, *(number.to_bytes(2, "big") for number in range(1_003)))
    parts = objects.list_parts(KEY, multipart_id, max_part_number=10_000)
    assert list(parts) == list(range(1, 1_004))
    assert parts[1_003].etag == f'"{md5((1_002).to_bytes(2, "big")).hex()}"'


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto verifies no checksum
def test_upload_part_with_wrong_checksum_raises(objects: ObjectStore) -> None:
    """A part whose bytes do not match the checksum is not stored."""
    multipart_id = start_multipart(objects)
    with pytest.raises(BackendUnavailable):
        objects.upload_part(KEY, multipart_id, 1, FIRST_PART, crc32c=crc32c(LAST_PART))
    assert objects.list_parts(KEY, multipart_id, max_part_number=10_000) == {}


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto verifies no checksum
def test_complete_multipart_with_wrong_checksum_raises(objects: ObjectStore) -> None:
    """With a wrong checksum nothing is completed; the correct one then succeeds."""
    multipart_id = start_multipart(objects, FIRST_PART, LAST_PART)
    parts = list_all_parts(objects, multipart_id)
    with pytest.raises(StoreChecksumMismatch):
        objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE_BODY), crc32c=WHOLE_CRC32C ^ 1)
    assert objects.head(KEY) is None
    assert list_all_parts(objects, multipart_id) == parts
    objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE_BODY), crc32c=WHOLE_CRC32C)
    assert objects.get(KEY) == WHOLE_BODY


@pytest.mark.proves(MEMORY, LOCALSTACK)  # moto and SeaweedFS ignore the size
def test_complete_multipart_with_wrong_size_raises(objects: ObjectStore) -> None:
    """A completion with another size fails."""
    multipart_id = start_multipart(objects, FIRST_PART, LAST_PART)
    with pytest.raises(BackendUnavailable):
        objects.complete_multipart(
            KEY, multipart_id, list_all_parts(objects, multipart_id), size=len(WHOLE_BODY) - 1, crc32c=None
        )
    assert objects.head(KEY) is None


@pytest.mark.proves(MEMORY)  # no emulator rejects it; S3 does, for uploads with checksums
def test_complete_multipart_with_gap_raises(objects: ObjectStore) -> None:
    """Part numbers of a multipart upload with checksums count from 1 without a gap."""
    multipart_id = start_multipart(objects, FIRST_PART, OTHER_FIRST_PART, LAST_PART)
    parts = list_all_parts(objects, multipart_id)
    for named in (parts[1:], [parts[0], parts[2]], []):
        with pytest.raises(BackendUnavailable):
            objects.complete_multipart(KEY, multipart_id, named, size=sum(part.size for part in named), crc32c=None)


def test_complete_multipart_with_missing_part_raises(objects: ObjectStore) -> None:
    """A completion that names a missing part makes no object."""
    multipart_id = start_multipart(objects, FIRST_PART)
    parts = [*list_all_parts(objects, multipart_id), StoredPart(2, f'"{"0" * 32}"', len(LAST_PART), None)]
    with pytest.raises(PartChanged):
        objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE_BODY), crc32c=None)
    assert objects.head(KEY) is None


def test_complete_multipart_with_small_part_raises(objects: ObjectStore) -> None:
    """Every part but the last has at least 5 MiB."""
    multipart_id = start_multipart(objects, FIRST_PART[:-1], LAST_PART)
    with pytest.raises(BackendUnavailable):
        objects.complete_multipart(
            KEY, multipart_id, list_all_parts(objects, multipart_id), size=len(WHOLE_BODY) - 1, crc32c=None
        )
    assert objects.head(KEY) is None


def test_complete_multipart_with_one_small_part_succeeds(objects: ObjectStore) -> None:
    """The last part may be smaller, also if it is the only one."""
    multipart_id = start_multipart(objects, b"x")
    stored = objects.complete_multipart(
        KEY, multipart_id, list_all_parts(objects, multipart_id), size=1, crc32c=crc32c(b"x")
    )
    assert (stored.size, stored.crc32c) == (1, crc32c(b"x"))
    assert objects.get(KEY) == b"x"


def test_abort_multipart_twice_succeeds(objects: ObjectStore) -> None:
    """An aborted upload does not exist; aborting it again succeeds."""
    multipart_id = start_multipart(objects, FIRST_PART, LAST_PART)
    for _ in range(2):
        objects.abort_multipart(KEY, multipart_id)
    with pytest.raises(MultipartUploadNotFound):
        objects.list_parts(KEY, multipart_id, max_part_number=10_000)
    assert objects.head(KEY) is None


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto fails with a KeyError
def test_complete_multipart_after_abort_raises(objects: ObjectStore) -> None:
    """An aborted multipart upload cannot be completed."""
    multipart_id = start_multipart(objects, FIRST_PART, LAST_PART)
    parts = list_all_parts(objects, multipart_id)
    objects.abort_multipart(KEY, multipart_id)
    with pytest.raises(MultipartUploadNotFound):
        objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE_BODY), crc32c=None)
    assert objects.head(KEY) is None


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto fails with a KeyError
def test_upload_part_after_end_raises(objects: ObjectStore) -> None:
    """An aborted or completed multipart upload accepts no part."""
    aborted, completed = start_multipart(objects, LAST_PART), start_multipart(objects, LAST_PART)
    objects.abort_multipart(KEY, aborted)
    objects.complete_multipart(KEY, completed, list_all_parts(objects, completed), size=len(LAST_PART), crc32c=None)
    for multipart_id in (aborted, completed):
        with pytest.raises(MultipartUploadNotFound):
            objects.upload_part(KEY, multipart_id, 1, LAST_PART, crc32c=crc32c(LAST_PART))


def test_list_parts_after_completion_raises(objects: ObjectStore) -> None:
    """A completed multipart upload does not exist; aborting it keeps the object."""
    multipart_id = start_multipart(objects, LAST_PART)
    objects.complete_multipart(
        KEY, multipart_id, list_all_parts(objects, multipart_id), size=len(LAST_PART), crc32c=None
    )
    with pytest.raises(MultipartUploadNotFound):
        objects.list_parts(KEY, multipart_id, max_part_number=10_000)
    objects.abort_multipart(KEY, multipart_id)
    assert objects.get(KEY) == LAST_PART


def test_list_parts_of_unknown_id_raises(objects: ObjectStore) -> None:
    """An unknown id is not found; aborting it succeeds."""
    with pytest.raises(MultipartUploadNotFound):
        objects.list_parts(KEY, "never", max_part_number=10_000)
    objects.abort_multipart(KEY, "never")


def test_list_multipart_uploads_paginates_open_ones(objects: ObjectStore) -> None:
    """Multipart uploads in progress under `o/` are listed with their creation time, ended ones are not."""
    keys = [f"o/{number:032x}" for number in range(5)]
    expected = {(key, start_multipart(objects, key=key)) for key in keys}
    start_multipart(objects, key="elsewhere")
    objects.abort_multipart(KEY, start_multipart(objects))
    found: list[tuple[str, str, int]] = []
    cursor = None
    while True:
        page = objects.list_multipart_uploads(cursor, 2)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert {(key, multipart_id) for key, multipart_id, _ in found} == expected
    assert len(found) == 5
    assert all(10**12 < initiated < 10**13 for _, _, initiated in found)


@pytest.mark.parametrize("cursor", ["", "x", "é", cursors.encode(["due_tasks"], ["o/x", "y"])])
def test_list_multipart_uploads_with_invalid_cursor_raises(objects: ObjectStore, cursor: str) -> None:
    """A cursor of no listing, or of another one, is rejected as the client's error."""
    with pytest.raises(InvalidField):
        objects.list_multipart_uploads(cursor, 2)


# Whole objects


@pytest.mark.parametrize("body", [b"", b"x", LAST_PART], ids=["empty", "one byte", "more"])
def test_put_then_get_and_head_return_object(objects: ObjectStore, body: bytes) -> None:
    """A stored object is read with its MD5 as ETag."""
    stored = put_object(objects, "st/1", body)
    assert stored == StoredObject(f'"{md5(body).hex()}"', len(body), crc32c(body))
    assert objects.get("st/1") == body
    head = objects.head("st/1")
    assert head is not None
    assert replace(head, crc32c=stored.crc32c, last_modified_seconds=stored.last_modified_seconds) == stored
    assert head.crc32c in (None, stored.crc32c)


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto verifies no checksum
def test_put_with_wrong_checksum_raises(objects: ObjectStore) -> None:
    """An object whose bytes do not match the checksum is not stored."""
    with pytest.raises(BackendUnavailable):
        objects.put("st/1", LAST_PART, crc32c=crc32c(LAST_PART) ^ 1)
    assert objects.head("st/1") is None


def test_get_range_returns_inclusive_bytes(objects: ObjectStore) -> None:
    """Ranges are inclusive, may be open, and end at the object's end."""
    put_object(objects, "st/1", LAST_PART)
    assert objects.get("st/1", 3, 9) == LAST_PART[3:10]
    assert objects.get("st/1", 0, 0) == LAST_PART[:1]
    assert objects.get("st/1", 12_000) == LAST_PART[12_000:]
    assert objects.get("st/1", None, 4) == LAST_PART[:5]
    assert objects.get("st/1", 12_000, 10**9) == LAST_PART[12_000:]
    with pytest.raises(BackendUnavailable):
        objects.get("st/1", len(LAST_PART), len(LAST_PART) + 5)


def test_missing_object_is_none(objects: ObjectStore) -> None:
    """A missing object is None; deleting it succeeds."""
    assert objects.get("st/none") is None
    assert objects.get("st/none", 0, 5) is None
    assert objects.head("st/none") is None
    objects.delete("st/none")


def test_delete_removes_one_object(objects: ObjectStore) -> None:
    """Deleting an object keeps objects whose keys begin with its key."""
    put_object(objects, "st/1", b"1")
    put_object(objects, "st/12", b"12")
    objects.delete("st/1")
    assert (objects.get("st/1"), objects.get("st/12")) == (None, b"12")


@pytest.mark.slow
@pytest.mark.large
def test_delete_prefix_removes_all_below(objects: ObjectStore) -> None:
    """More objects than one page under the prefix are deleted and counted; others stay."""
    for number in range(1_003):
        put_object(objects, f"st/a/{number}", b"12345")
    put_object(objects, "st/ab", b"stays")
    assert objects.delete_prefix("st/a/", deadline=FAR_FUTURE) == DeleteResult(1_003 * 5, done=True)
    assert objects.delete_prefix("st/a/", deadline=FAR_FUTURE) == DeleteResult(0, done=True)
    assert objects.get("st/a/7") is None
    assert objects.get("st/ab") == b"stays"


def test_delete_prefix_after_deadline_deletes_nothing(objects: ObjectStore) -> None:
    """After the deadline nothing is deleted and the result says so."""
    put_object(objects, "st/a/1", b"12345")
    assert objects.delete_prefix("st/a/", deadline=1) == DeleteResult(0, done=False)
    assert objects.get("st/a/1") == b"12345"
    assert objects.delete_prefix("st/a/", deadline=FAR_FUTURE) == DeleteResult(5, done=True)
