"""The object store's contract: multipart uploads and whole objects."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from ferry.aws import cursors
from ferry.digests import crc32c
from ferry.errors import BackendUnavailable, InvalidField
from ferry.model import StoredObject, StoredPart
from ferry.ports import ChecksumRefused, Deleted, NoSuchMultipart, ObjectStore, PartChanged
from tests.contract.conftest import LOCALSTACK, MEMORY, MOTO, SEAWEEDFS
from tests.contract.samples import BIG, BIG2, KEY, TAIL, WHOLE, WHOLE_CRC, begin, listed, md5, put

LATER = 10**14
"""A deadline that does not come."""


# Multipart uploads


def test_a_multipart_upload_from_end_to_end(objects: ObjectStore) -> None:
    """Parts in any order become one object, with an ETag of the parts' MD5s and the CRC32C of all its bytes."""
    multipart_id = objects.create_multipart(KEY, content_type="text/plain")
    for number, body in ((2, TAIL), (1, BIG)):
        objects.upload_part(KEY, multipart_id, number, body, crc32c=crc32c(body))
    assert objects.head(KEY) is None
    made = objects.complete_multipart(
        KEY, multipart_id, listed(objects, multipart_id), size=len(WHOLE), crc32c=WHOLE_CRC
    )
    etag = f'"{hashlib.md5(md5(BIG) + md5(TAIL), usedforsecurity=False).hexdigest()}-2"'
    assert made == StoredObject(etag, len(WHOLE), WHOLE_CRC)
    head = objects.head(KEY)
    assert head is not None
    assert (head.etag, head.size) == (etag, len(WHOLE))
    assert head.modified is not None
    assert objects.get(KEY) == WHOLE


def test_listed_parts(objects: ObjectStore) -> None:
    """Each part has its number, its length and its ETag in quotes; its CRC32C, where the store lists one."""
    multipart_id = begin(objects, BIG, TAIL)
    for number, body in ((1, BIG), (2, TAIL)):
        part = objects.list_parts(KEY, multipart_id, last=10_000)[number]
        assert (part.number, part.size, part.etag) == (number, len(body), f'"{md5(body).hex()}"')
        assert part.crc32c in (None, crc32c(body))


def test_an_upload_without_parts_lists_none(objects: ObjectStore) -> None:
    """There, but empty, is another answer than not there."""
    multipart_id = begin(objects)
    assert objects.list_parts(KEY, multipart_id, last=10_000) == {}


@pytest.mark.proves(MEMORY, MOTO, LOCALSTACK)  # SeaweedFS keeps both and completes with whichever is named
def test_a_part_sent_again_replaces_the_one_before(objects: ObjectStore) -> None:
    """The last one to arrive counts, and who names the earlier one is refused."""
    multipart_id = begin(objects, BIG, TAIL)
    before = listed(objects, multipart_id)
    objects.upload_part(KEY, multipart_id, 1, BIG2, crc32c=crc32c(BIG2))
    with pytest.raises(PartChanged):
        objects.complete_multipart(KEY, multipart_id, before, size=len(WHOLE), crc32c=None)
    made = objects.complete_multipart(KEY, multipart_id, listed(objects, multipart_id), size=len(WHOLE), crc32c=None)
    assert objects.get(KEY) == BIG2 + TAIL
    assert made.crc32c in (None, crc32c(BIG2 + TAIL))


def test_the_same_part_sent_again(objects: ObjectStore) -> None:
    """The same bytes twice are one part, with the same ETag."""
    multipart_id = begin(objects, BIG, TAIL)
    before = listed(objects, multipart_id)
    objects.upload_part(KEY, multipart_id, 1, BIG, crc32c=crc32c(BIG))
    assert listed(objects, multipart_id) == before
    objects.complete_multipart(KEY, multipart_id, before, size=len(WHOLE), crc32c=WHOLE_CRC)
    assert objects.get(KEY) == WHOLE


def test_more_parts_than_one_page_of_a_listing(objects: ObjectStore) -> None:
    """A listing goes on beyond 1,000 parts."""
    multipart_id = begin(objects, *(number.to_bytes(2, "big") for number in range(1_003)))
    parts = objects.list_parts(KEY, multipart_id, last=10_000)
    assert list(parts) == list(range(1, 1_004))
    assert parts[1_003].etag == f'"{md5((1_002).to_bytes(2, "big")).hex()}"'


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto verifies no checksum
def test_a_part_with_other_bytes_than_its_checksum_says(objects: ObjectStore) -> None:
    """What was damaged on the way is not stored."""
    multipart_id = begin(objects)
    with pytest.raises(BackendUnavailable):
        objects.upload_part(KEY, multipart_id, 1, BIG, crc32c=crc32c(TAIL))
    assert objects.list_parts(KEY, multipart_id, last=10_000) == {}


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto verifies no checksum
def test_a_whole_file_checksum_that_is_another(objects: ObjectStore) -> None:
    """Nothing is completed; the right one then passes."""
    multipart_id = begin(objects, BIG, TAIL)
    parts = listed(objects, multipart_id)
    with pytest.raises(ChecksumRefused):
        objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE), crc32c=WHOLE_CRC ^ 1)
    assert objects.head(KEY) is None
    assert listed(objects, multipart_id) == parts
    objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE), crc32c=WHOLE_CRC)
    assert objects.get(KEY) == WHOLE


@pytest.mark.proves(MEMORY, LOCALSTACK)  # neither moto nor SeaweedFS looks at the size that a completion names
def test_another_size_than_the_parts_have(objects: ObjectStore) -> None:
    """A completion that expects another size is refused."""
    multipart_id = begin(objects, BIG, TAIL)
    with pytest.raises(BackendUnavailable):
        objects.complete_multipart(KEY, multipart_id, listed(objects, multipart_id), size=len(WHOLE) - 1, crc32c=None)
    assert objects.head(KEY) is None


@pytest.mark.proves(MEMORY)  # no stand-in minds; S3 does, once an upload has checksums
def test_parts_with_a_gap(objects: ObjectStore) -> None:
    """With checksums, parts count from 1 without a gap."""
    multipart_id = begin(objects, BIG, BIG2, TAIL)
    parts = listed(objects, multipart_id)
    for named in (parts[1:], [parts[0], parts[2]], []):
        with pytest.raises(BackendUnavailable):
            objects.complete_multipart(KEY, multipart_id, named, size=sum(part.size for part in named), crc32c=None)


def test_a_part_that_was_never_sent(objects: ObjectStore) -> None:
    """Naming it completes nothing."""
    multipart_id = begin(objects, BIG)
    parts = [*listed(objects, multipart_id), StoredPart(2, f'"{"0" * 32}"', len(TAIL), None)]
    with pytest.raises(PartChanged):
        objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE), crc32c=None)
    assert objects.head(KEY) is None


def test_parts_that_are_too_small(objects: ObjectStore) -> None:
    """Every part but the last has at least 5 MiB."""
    multipart_id = begin(objects, BIG[:-1], TAIL)
    with pytest.raises(BackendUnavailable):
        objects.complete_multipart(KEY, multipart_id, listed(objects, multipart_id), size=len(WHOLE) - 1, crc32c=None)
    assert objects.head(KEY) is None


def test_one_small_part(objects: ObjectStore) -> None:
    """The last part may be small, also when it is the only one."""
    multipart_id = begin(objects, b"x")
    made = objects.complete_multipart(KEY, multipart_id, listed(objects, multipart_id), size=1, crc32c=crc32c(b"x"))
    assert (made.size, made.crc32c) == (1, crc32c(b"x"))
    assert objects.get(KEY) == b"x"


def test_after_an_abort(objects: ObjectStore) -> None:
    """An aborted upload is gone, and aborting again is no error."""
    multipart_id = begin(objects, BIG, TAIL)
    for _ in range(2):
        objects.abort_multipart(KEY, multipart_id)
    with pytest.raises(NoSuchMultipart):
        objects.list_parts(KEY, multipart_id, last=10_000)
    assert objects.head(KEY) is None


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto fails with a KeyError
def test_completing_what_was_aborted(objects: ObjectStore) -> None:
    """There is nothing to complete any more."""
    multipart_id = begin(objects, BIG, TAIL)
    parts = listed(objects, multipart_id)
    objects.abort_multipart(KEY, multipart_id)
    with pytest.raises(NoSuchMultipart):
        objects.complete_multipart(KEY, multipart_id, parts, size=len(WHOLE), crc32c=None)
    assert objects.head(KEY) is None


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto fails with a KeyError
def test_a_part_for_an_upload_that_is_gone(objects: ObjectStore) -> None:
    """No part is taken after an abort or a completion."""
    aborted, completed = begin(objects, TAIL), begin(objects, TAIL)
    objects.abort_multipart(KEY, aborted)
    objects.complete_multipart(KEY, completed, listed(objects, completed), size=len(TAIL), crc32c=None)
    for multipart_id in (aborted, completed):
        with pytest.raises(NoSuchMultipart):
            objects.upload_part(KEY, multipart_id, 1, TAIL, crc32c=crc32c(TAIL))


def test_after_completion_there_are_no_parts(objects: ObjectStore) -> None:
    """A completed upload is no upload any more; aborting it leaves the object alone."""
    multipart_id = begin(objects, TAIL)
    objects.complete_multipart(KEY, multipart_id, listed(objects, multipart_id), size=len(TAIL), crc32c=None)
    with pytest.raises(NoSuchMultipart):
        objects.list_parts(KEY, multipart_id, last=10_000)
    objects.abort_multipart(KEY, multipart_id)
    assert objects.get(KEY) == TAIL


def test_an_id_that_was_never_given(objects: ObjectStore) -> None:
    """It is of no upload."""
    with pytest.raises(NoSuchMultipart):
        objects.list_parts(KEY, "never", last=10_000)
    objects.abort_multipart(KEY, "never")


def test_multiparts(objects: ObjectStore) -> None:
    """Uploads in progress under `o/`, page by page, with the time of their start; ended ones are not among them."""
    keys = [f"o/{number:032x}" for number in range(5)]
    expected = {(key, begin(objects, key=key)) for key in keys}
    begin(objects, key="elsewhere")
    objects.abort_multipart(KEY, begin(objects))
    found: list[tuple[str, str, int]] = []
    cursor = None
    while True:
        page = objects.multiparts(cursor, 2)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert {(key, multipart_id) for key, multipart_id, _ in found} == expected
    assert len(found) == 5
    assert all(10**12 < initiated < 10**13 for _, _, initiated in found)


@pytest.mark.parametrize("cursor", ["", "x", "é", cursors.encode(["due"], ["o/x", "y"])])
def test_a_garbled_cursor(objects: ObjectStore, cursor: str) -> None:
    """A cursor that this listing has not given is refused as the client's mistake."""
    with pytest.raises(InvalidField):
        objects.multiparts(cursor, 2)


# Whole objects


@pytest.mark.parametrize("body", [b"", b"x", TAIL], ids=["empty", "one byte", "more"])
def test_put_get_head(objects: ObjectStore, body: bytes) -> None:
    """What was put is there, with the MD5 as its ETag."""
    made = put(objects, "st/1", body)
    assert made == StoredObject(f'"{md5(body).hex()}"', len(body), crc32c(body))
    assert objects.get("st/1") == body
    head = objects.head("st/1")
    assert head is not None
    assert replace(head, crc32c=made.crc32c, modified=made.modified) == made
    assert head.crc32c in (None, made.crc32c)


@pytest.mark.proves(MEMORY, SEAWEEDFS, LOCALSTACK)  # moto verifies no checksum
def test_put_with_other_bytes_than_the_checksum_says(objects: ObjectStore) -> None:
    """What was damaged on the way is not stored."""
    with pytest.raises(BackendUnavailable):
        objects.put("st/1", TAIL, crc32c=crc32c(TAIL) ^ 1)
    assert objects.head("st/1") is None


def test_ranges(objects: ObjectStore) -> None:
    """Ranges are inclusive, open at the end when asked so, and cut at the object's end."""
    put(objects, "st/1", TAIL)
    assert objects.get("st/1", 3, 9) == TAIL[3:10]
    assert objects.get("st/1", 0, 0) == TAIL[:1]
    assert objects.get("st/1", 12_000) == TAIL[12_000:]
    assert objects.get("st/1", None, 4) == TAIL[:5]
    assert objects.get("st/1", 12_000, 10**9) == TAIL[12_000:]
    with pytest.raises(BackendUnavailable):
        objects.get("st/1", len(TAIL), len(TAIL) + 5)


def test_what_is_not_there(objects: ObjectStore) -> None:
    """Absent is None; deleting it is no error."""
    assert objects.get("st/none") is None
    assert objects.get("st/none", 0, 5) is None
    assert objects.head("st/none") is None
    objects.delete("st/none")


def test_delete(objects: ObjectStore) -> None:
    """A deleted object is gone, others are not."""
    put(objects, "st/1", b"1")
    put(objects, "st/12", b"12")
    objects.delete("st/1")
    assert (objects.get("st/1"), objects.get("st/12")) == (None, b"12")


def test_delete_prefix(objects: ObjectStore) -> None:
    """All under the prefix goes, beyond one page of a listing, nothing else; the bytes are counted."""
    for number in range(1_003):
        put(objects, f"st/a/{number}", b"12345")
    put(objects, "st/ab", b"stays")
    assert objects.delete_prefix("st/a/", until=LATER) == Deleted(1_003 * 5, done=True)
    assert objects.delete_prefix("st/a/", until=LATER) == Deleted(0, done=True)
    assert objects.get("st/a/7") is None
    assert objects.get("st/ab") == b"stays"


def test_delete_prefix_after_its_deadline(objects: ObjectStore) -> None:
    """A deadline in the past leaves everything for another time."""
    put(objects, "st/a/1", b"12345")
    assert objects.delete_prefix("st/a/", until=1) == Deleted(0, done=False)
    assert objects.get("st/a/1") == b"12345"
    assert objects.delete_prefix("st/a/", until=LATER) == Deleted(5, done=True)
