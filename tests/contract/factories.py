"""Records, files and uploads, and helpers, for the suites of the repositories."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Protocol, TypeVar

from dev.fakes.clock import START_MS
from ferry.model.cleanup import CleanupTask
from ferry.model.files import File, IfExists
from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.ports.cleanup_repository import CleanupRepository
from ferry.ports.types import Page
from ferry.ports.upload_repository import UploadRepository
from ferry.rules.durations import DAY_MS, SECOND_MS
from ferry.rules.layout import CHUNKS_PER_SHARD, KIB, MAX_SHARDS, MIB, ChunkLayout

T = TypeVar("T")

NS = "ns"
NAME = "a name.bin"
IDLE_TIMEOUT_MS = DAY_MS
MAX_AGE_MS = 7 * DAY_MS
TTL_EPOCH_SECONDS = START_MS // SECOND_MS + 86_400
FAR_FUTURE = 10**14
"""A deadline that no test reaches, in epoch milliseconds."""
UPLOAD_ID, OTHER_ID, THIRD_ID = (letter * 32 for letter in "abc")
SMALL_LAYOUT = ChunkLayout.plan(20 * MIB)
"""Five chunks of 4 MiB in three parts; one shard."""
SHARDED_LAYOUT = ChunkLayout.plan(3 * CHUNKS_PER_SHARD * 64 * KIB, 64 * KIB)
"""9,216 chunks of 64 KiB in 72 parts; three shards."""
LARGEST_LAYOUT = ChunkLayout.plan(MAX_SHARDS * CHUNKS_PER_SHARD * 64 * KIB, 64 * KIB)
"""The maximum of 90 shards."""


def make_record(
    upload_id: str = UPLOAD_ID, *, ns: str = NS, name: str = NAME, layout: ChunkLayout = SMALL_LAYOUT
) -> UploadRecord:
    """Return a record as start creates it."""
    return UploadRecord(
        upload_id=upload_id,
        ns=ns,
        name=name,
        layout=layout,
        state=UploadState.CREATING,
        created_at=START_MS,
        idle_timeout_ms=IDLE_TIMEOUT_MS,
        max_age_ms=MAX_AGE_MS,
        content_type="text/plain",
        version=START_MS,
    )


def make_file(upload_id: str = UPLOAD_ID, *, ns: str = NS, name: str = NAME) -> File:
    """Return the file that `commit_upload` commits."""
    return File(
        ns=ns,
        name=name,
        upload_id=upload_id,
        size=20 * MIB,
        etag='"0123-3"',
        crc32c=0xDEADBEEF,
        content_type="text/plain",
        metadata={"colour": "grün", "empty": ""},
        fingerprint=None,
        uploaded_at=START_MS + 5,
        last_modified_seconds=START_MS // SECOND_MS,
        object_date_seconds=START_MS // SECOND_MS,
    )


def read_upload(repository: UploadRepository, upload_id: str = UPLOAD_ID) -> Upload:
    """Return an existing upload."""
    upload = repository.get_upload(upload_id)
    assert upload is not None
    return upload


class UploadFactory(Protocol):
    """Creates an upload in some state and returns it."""

    def __call__(
        self, repository: UploadRepository, upload_id: str = ..., *, name: str = ..., layout: ChunkLayout = ...
    ) -> Upload: ...


def create_upload(
    repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME, layout: ChunkLayout = SMALL_LAYOUT
) -> Upload:
    """Create an upload in the state creating, due at `START_MS + 1`."""
    expected = repository.get_current_upload(NS, name)
    repository.create_upload(make_record(upload_id, name=name, layout=layout), expected=expected, due_at=START_MS + 1)
    return read_upload(repository, upload_id)


def open_upload(
    repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME, layout: ChunkLayout = SMALL_LAYOUT
) -> Upload:
    """Create an open upload."""
    create_upload(repository, upload_id, name=name, layout=layout)
    repository.mark_open(upload_id, "multipart", now=START_MS, due_at=START_MS + IDLE_TIMEOUT_MS)
    return read_upload(repository, upload_id)


def lease_upload(
    repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME, layout: ChunkLayout = SMALL_LAYOUT
) -> Upload:
    """Create an upload that is completing under the lease `mine` until `START_MS + 60_000`."""
    acquire_lease(repository, open_upload(repository, upload_id, name=name, layout=layout))
    return read_upload(repository, upload_id)


def acquire_lease(
    repository: UploadRepository,
    upload: Upload,
    lease_id: str = "mine",
    now: int = START_MS + 10,
    previous_lease_id: str | None = None,
) -> Upload:
    """Acquire a lease until `START_MS + 60_000`, with options that differ from the defaults."""
    return repository.acquire_lease(
        upload,
        lease_id=lease_id,
        expires_at=START_MS + 60_000,
        now=now,
        if_exists=IfExists.REPLACE,
        crc32c=7,
        if_match='"tag"',
        previous_lease_id=previous_lease_id,
    )


def commit_upload(repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME) -> File:
    """Create a complete upload and return its file."""
    record = lease_upload(repository, upload_id, name=name).record
    file = make_file(upload_id, name=name)
    repository.commit_file(
        record,
        file,
        replaced_file=repository.get_name(NS, name)[0],
        staged_chunks_due_at=START_MS + 20,
        object_due_at=START_MS + 30,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
    )
    return file


def record_chunk(
    repository: UploadRepository,
    upload: Upload,
    chunk_index: int,
    *,
    require_no_presigned: bool = False,
    now: int = START_MS + 100,
) -> None:
    """Record a chunk, given the upload as it was read."""
    layout = upload.record.layout
    repository.record_chunk(
        upload.record.upload_id,
        upload.shard_for_chunk(chunk_index),
        layout.bit_for_chunk(chunk_index),
        layout.chunk_length(chunk_index),
        require_no_presigned=require_no_presigned,
        now=now,
    )


def all_tasks(cleanup_repository: CleanupRepository) -> set[CleanupTask]:
    """Return all cleanup tasks, whenever they are due."""
    return set(cleanup_repository.list_due_tasks(FAR_FUTURE, None, 100).items)


def collect_pages(page_at: Callable[[str | None], Page[T]]) -> list[list[T]]:
    """Return the items of each page of a listing, from the first page to the last."""
    pages = []
    cursor = None
    while True:
        page = page_at(cursor)
        pages.append(list(page.items))
        cursor = page.cursor
        if cursor is None:
            return pages


def id_factory() -> Callable[[], str]:
    """Return a function that returns a new upload id at each call."""
    numbers = itertools.count(1)
    return lambda: f"{next(numbers):032x}"
