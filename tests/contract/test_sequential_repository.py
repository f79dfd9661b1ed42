"""The contract of `SequentialRepository`: creation, changes under a condition, listings, names and quotas."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from dev.fakes.clock import START_MS
from ferry.model.files import IfExists
from ferry.model.quotas import Quota
from ferry.model.sequential import LastAppend, PartClaim, Piece, Protocol, SequentialState, Source
from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate, UsageConflict
from ferry.ports.sequential_repository import CompletionLease
from ferry.rules.layout import MIB, ChunkLayout
from tests.contract.conftest import Repositories
from tests.contract.factories import NS, collect_pages, id_factory, open_upload


def new_record(upload_id: str, name: str = "name", **changes: object) -> UploadRecord:
    record = UploadRecord(
        upload_id=upload_id,
        ns=NS,
        name=name,
        layout=ChunkLayout(100, 4 * MIB, 2),
        state=UploadState.OPEN,
        created_at=START_MS,
        idle_timeout_ms=1_000,
        max_age_ms=10_000,
        content_type="text/plain",
        version=START_MS,
        sequential=SequentialState(Protocol.TUS, START_MS, length=100),
    )
    return replace(record, **changes)  # type: ignore[arg-type]


def create(repositories: Repositories, upload_id: str, name: str = "name", **changes: object) -> Upload:
    record = new_record(upload_id, name, **changes)
    repositories.sequential.create_sequential(record, due_at=START_MS + 5)
    return Upload(record, ())


def test_record_is_read_as_it_was_written(repositories: Repositories) -> None:
    """Every field of the sequential state survives the row."""
    state = SequentialState(
        protocol=Protocol.DRAFT,
        last_activity_at=START_MS + 1,
        offset=70,
        crc32c=2**32 - 1,
        length=None,
        pieces=(Piece("p1", 5, 7), Piece("p2", 1, 2**32 - 1)),
        claim=PartClaim(70, b"digest", START_MS + 9),
        last_append=LastAppend(60, b"\0\1"),
        sources=(Source("s", 3, 4),),
        is_partial=False,
        is_forgotten=True,
        echoed_headers={"Upload-Metadata": "filename YQ=="},
    )
    upload = create(repositories, id_factory()(), sequential=state)
    assert repositories.uploads.get_upload(upload.record.upload_id) == upload


def test_change_is_conditional_on_the_version(repositories: Repositories) -> None:
    """Of two changes of what was read, the second one fails and changes nothing."""
    upload = create(repositories, id_factory()())
    assert upload.record.sequential is not None
    moved = replace(upload.record, multipart_id="m", sequential=replace(upload.record.sequential, offset=40))
    changed = repositories.sequential.change_sequential(upload, moved, now=START_MS)
    assert repositories.uploads.get_upload(upload.record.upload_id) == changed
    assert (changed.record.version, changed.record.multipart_id) == (upload.record.version + 1, "m")
    with pytest.raises(ConcurrentUpdate):
        repositories.sequential.change_sequential(upload, upload.record, now=START_MS)
    assert repositories.uploads.get_upload(upload.record.upload_id) == changed


def test_change_takes_the_lease_and_release_keeps_the_state(repositories: Repositories) -> None:
    """The last append moves the upload to completing; a rejected completion opens it again."""
    upload = create(repositories, id_factory()(), crc32c=5)
    lease = CompletionLease("lease", START_MS + 50, IfExists.RENAME)
    leased = repositories.sequential.change_sequential(upload, upload.record, lease=lease, now=START_MS + 1)
    assert repositories.uploads.get_upload(upload.record.upload_id) == leased
    record = leased.record
    assert (record.state, record.lease_id, record.lease_crc32c) == (UploadState.COMPLETING, "lease", 5)
    assert (record.lease_if_exists, record.first_leased_at) == (IfExists.RENAME, START_MS + 1)
    repositories.uploads.release_lease(
        leased, lease_id="lease", stored_object=None, lost_chunks=(), due_at=START_MS + 60
    )
    opened = repositories.uploads.get_upload(upload.record.upload_id)
    assert opened is not None
    assert (opened.record.state, opened.record.sequential) == (UploadState.OPEN, upload.record.sequential)


def test_name_lists_open_sequential_uploads_only(repositories: Repositories) -> None:
    """Several uploads share a name; an ended one and a partial one are not among them."""
    ids = [f"{number:032x}" for number in range(4)]
    uploads = [create(repositories, upload_id) for upload_id in ids[:3]]
    partial_state = SequentialState(Protocol.TUS, START_MS, is_partial=True)
    create(repositories, ids[3], sequential=partial_state)
    repositories.uploads.terminate(uploads[1], UploadState.CANCELLED, now=START_MS, ttl_epoch_seconds=START_MS // 1000)
    assert list(repositories.sequential.get_sequential_ids(NS, "name")) == [ids[0], ids[2]]
    assert repositories.sequential.get_name_uploads(NS, "name") == (None, None, [ids[0], ids[2]])
    states = repositories.files.get_name_states(NS, ["name", "other"])
    assert (states["name"].is_free, "other" in states) == (False, False)


def test_expiry_is_conditional_on_activity(repositories: Repositories) -> None:
    """An upload with a new append does not expire."""
    upload = create(repositories, id_factory()())
    repositories.sequential.change_sequential(upload, upload.record, now=START_MS)
    with pytest.raises(ConcurrentUpdate):
        repositories.uploads.terminate(upload, UploadState.EXPIRED, now=START_MS, ttl_epoch_seconds=START_MS // 1000)


def test_listing_has_both_kinds_once(repositories: Repositories) -> None:
    """A listing, whatever its pages are, has each open upload once: sequential ones first, each kind by name."""
    ids = [f"{number:032x}" for number in range(5)]
    for upload_id, name in zip(ids, ["b", "b", "b", "a", "c"], strict=True):
        create(repositories, upload_id, name)
    open_upload(repositories.uploads, "f" * 32, name="a")
    expected = [("a", ids[3]), ("b", ids[0]), ("b", ids[1]), ("b", ids[2]), ("c", ids[4]), ("a", "f" * 32)]
    for limit in (1, 2, 3, 100):
        pages = collect_pages(partial(repositories.uploads.list_open_uploads, NS, limit=limit))
        assert [(each.name, each.upload_id) for page in pages for each in page] == expected
        assert all(len(page) <= limit for page in pages)
    first = repositories.uploads.list_open_uploads(NS, None, 10).items[1]
    rest = repositories.uploads.list_open_uploads(NS, repositories.uploads.cursor_after(first), 10).items
    assert [(each.name, each.upload_id) for each in rest] == expected[2:]


def test_growth_is_within_the_quota(repositories: Repositories) -> None:
    """An upload of unknown length is counted as it grows; an append beyond the limit changes nothing."""
    repositories.quota_store.set_limits(NS, max_bytes=10, max_uploads=1, max_file_bytes=None)
    quota = repositories.quota_store.get_quota(NS)
    empty = ChunkLayout(0, 4 * MIB, 8)
    record = new_record(
        "1" * 32, counted_in_quota=True, layout=empty, sequential=SequentialState(Protocol.TUS, START_MS)
    )
    repositories.sequential.create_sequential(record, due_at=START_MS, quota=quota)
    with pytest.raises(UsageConflict):
        repositories.sequential.create_sequential(replace(record, upload_id="2" * 32), due_at=START_MS, quota=quota)
    upload = Upload(record, ())
    grown = replace(record, layout=replace(empty, size=8))
    upload = repositories.sequential.change_sequential(upload, grown, now=START_MS, quota=quota)
    with pytest.raises(UsageConflict):
        repositories.sequential.change_sequential(
            upload, replace(grown, layout=replace(empty, size=11)), now=START_MS, quota=quota
        )
    used = repositories.quota_store.get_quota(NS)
    assert used is not None
    assert (used.used_bytes, used.open_uploads) == (8, 1)
    repositories.uploads.terminate(upload, UploadState.CANCELLED, now=START_MS, ttl_epoch_seconds=START_MS // 1000)
    assert repositories.quota_store.get_quota(NS) == Quota(max_bytes=10, max_uploads=1)
