"""Sessions, files and uploads for the repository's suite to begin with."""

from __future__ import annotations

from dataclasses import replace

from dev.fakes.clock import START
from ferry.model.files import File
from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.ports.upload_repository import UploadRepository
from ferry.rules.layout import KIB, MIB, ChunkLayout

NS = "ns"
NAME = "a name.bin"
IDLE_TIMEOUT_MS = 86_400_000
MAX_AGE_MS = 7 * IDLE_TIMEOUT_MS
TTL_EPOCH_SECONDS = START // 1000 + 86_400
FAR_FUTURE = 10**14
"""A deadline that does not come."""
UPLOAD_ID, OTHER_ID, THIRD_ID = (letter * 32 for letter in "abc")
SMALL_LAYOUT = ChunkLayout.plan(20 * MIB)
"""Five chunks of 4 MiB in three parts; one stripe."""
SHARDED_LAYOUT = ChunkLayout.plan(3 * 3_072 * 64 * KIB, 64 * KIB)
"""9,216 chunks of 64 KiB in 72 parts; three stripes."""
LARGEST_LAYOUT = ChunkLayout.plan(90 * 3_072 * 64 * KIB, 64 * KIB)
"""As many stripes as there can be: 90."""


def make_record(
    upload_id: str = UPLOAD_ID, *, ns: str = NS, name: str = NAME, layout: ChunkLayout = SMALL_LAYOUT
) -> UploadRecord:
    """A session as start makes it."""
    return UploadRecord(
        upload_id=upload_id,
        ns=ns,
        name=name,
        layout=layout,
        state=UploadState.CREATING,
        created_at=START,
        idle_timeout_ms=IDLE_TIMEOUT_MS,
        max_age_ms=MAX_AGE_MS,
        content_type="text/plain",
        version=START,
    )


def make_file(upload_id: str = UPLOAD_ID, *, ns: str = NS, name: str = NAME) -> File:
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
        uploaded_at=START + 5,
        last_modified_seconds=START // 1000,
    )


def read_upload(repository: UploadRepository, upload_id: str = UPLOAD_ID) -> Upload:
    """The upload as it stands, which must be there."""
    upload = repository.get_upload(upload_id)
    assert upload is not None
    return upload


def create_upload(
    repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME, layout: ChunkLayout = SMALL_LAYOUT
) -> Upload:
    """A session that has not been opened."""
    over = repository.get_current_upload(NS, name)
    repository.create_upload(make_record(upload_id, name=name, layout=layout), expected=over, due_at=START + 1)
    return read_upload(repository, upload_id)


def open_upload(
    repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME, layout: ChunkLayout = SMALL_LAYOUT
) -> Upload:
    create_upload(repository, upload_id, name=name, layout=layout)
    repository.mark_open(upload_id, "multipart", due_at=START + IDLE_TIMEOUT_MS)
    return read_upload(repository, upload_id)


def lease_upload(
    repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME, layout: ChunkLayout = SMALL_LAYOUT
) -> Upload:
    """Completing, by the attempt `mine`, until `START + 60_000`."""
    acquire_lease(repository, open_upload(repository, upload_id, name=name, layout=layout))
    return read_upload(repository, upload_id)


def acquire_lease(
    repository: UploadRepository,
    upload: Upload,
    lease_id: str = "mine",
    now: int = START + 10,
    previous_lease_id: str | None = None,
) -> Upload:
    return repository.acquire_lease(
        upload,
        lease_id=lease_id,
        expires_at=START + 60_000,
        now=now,
        replace_existing=True,
        crc32c=7,
        previous_lease_id=previous_lease_id,
    )


def commit_upload(repository: UploadRepository, upload_id: str = UPLOAD_ID, *, name: str = NAME) -> File:
    """A complete upload, and the file it made."""
    session = lease_upload(repository, upload_id, name=name).record
    file = make_file(upload_id, name=name)
    over = repository.get_file(NS, name)
    repository.commit_file(
        session,
        file,
        replaced_file=over,
        staged_chunks_due_at=START + 20,
        object_due_at=START + 30,
        ttl_epoch_seconds=TTL_EPOCH_SECONDS,
    )
    return file


def record_chunk(
    repository: UploadRepository,
    upload: Upload,
    chunk_index: int,
    *,
    require_no_presigned: bool = False,
    now: int = START + 100,
) -> None:
    """Record a chunk as one who has read `upload`."""
    grid, stripe = upload.record.layout, upload.shard_for_chunk(chunk_index)
    repository.record_chunk(
        upload.record.upload_id,
        stripe,
        grid.bit_for_chunk(chunk_index),
        grid.chunk_length(chunk_index),
        require_no_presigned=require_no_presigned,
        now=now,
    )


def without_versions(upload: Upload) -> Upload:
    """For comparing what else changed."""
    return replace(upload, record=replace(upload.record, version=0))
