"""Turn an upload into a file: a lease, what is missing mended, one S3 call, one switch of the pointer."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from ferry.errors import BackendUnavailable, ChecksumMismatch, FileExists, UploadIncomplete
from ferry.files.delete import OBJECT_RETENTION_MS
from ferry.model.files import File
from ferry.model.objects import StoredObject
from ferry.model.uploads import Upload, UploadRecord, UploadState
from ferry.outbox import pending_events, publish, publish_deadline
from ferry.ports.errors import ConcurrentUpdate, MultipartUploadNotFound
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import HOUR_MS, SECOND_MS
from ferry.rules.layout import missing_ranges
from ferry.services import Services
from ferry.uploads.build_object import (
    CHECKSUM_MISMATCH_DETAIL,
    CompletionPending,
    ObjectChecksumMismatch,
    PartsByNumber,
    TimeBudgetExceeded,
    build_object,
)
from ferry.uploads.ensure_multipart import ensure_open
from ferry.uploads.lookup import find_current, raise_if_ended
from ferry.uploads.received import compute_received, list_parts
from ferry.uploads.terminate import ended_ttl_epoch_seconds

logger = logging.getLogger(__name__)

MAX_MISSING_RANGES = 1_000
WAIT_FOR_LEASE_SECONDS = 8
"""Seconds a caller waits for another's completion: what it then does itself must end within the gateway's 30 too."""

ASYNC_RETRY_AFTER_SECONDS = 5
"""Seconds after which to ask about a completion that goes on elsewhere."""


@dataclass(frozen=True, slots=True)
class CompleteRequest:
    """`crc32c` and `replace` override what was said at start; None leaves it."""

    name: str
    upload_id: str | None = None
    crc32c: int | None = None
    replace_existing: bool | None = None


@dataclass(frozen=True, slots=True)
class CompletionAccepted:
    """Ask again in `retry_after` seconds."""

    upload_id: str
    retry_after_seconds: int


@dataclass(frozen=True, slots=True)
class _CompletionOptions:
    """What one attempt is asked for: the file's CRC32C if known, and whether another file may be replaced."""

    crc32c: int | None
    replace_existing: bool


def complete(services: Services, ns: str, request: CompleteRequest) -> File | CompletionAccepted:
    """Complete, or say what is in the way. Repeated or raced, everybody gets the same file.

    Raises:
        UploadIncomplete: bytes are missing (`missing`: chunk ranges); the upload goes on.
        ChecksumMismatch: the whole file does not have the checksum; the upload stays as it is.
        FileExists: a file of that name is there and not to be replaced; the upload stays.
        UploadNotFound, UploadSuperseded, UploadExpired, UploadCancelled: no upload to complete.
    """
    give_up = services.clock() + WAIT_FOR_LEASE_SECONDS * SECOND_MS
    while True:
        result = retry_on_conflict(lambda: _try_complete(services, ns, request))
        if (
            isinstance(result, File)
            or result.retry_after_seconds > WAIT_FOR_LEASE_SECONDS
            or services.clock() >= give_up
        ):
            return result
        services.sleep(0.5)


def resume(services: Services, upload: Upload) -> File | CompletionAccepted:
    """Take over a completion whose lease has lapsed, as it was asked for: the clean-up's way.

    Raises:
        BackendUnavailable: the lease lapses again, and the next sweep goes on.
        Moved: somebody else did.
        UploadIncomplete, ChecksumMismatch, FileExists, UploadExpired: as `complete`; the session is open again, or
        ended.
    """
    session = upload.record
    return _complete_under_lease(
        services,
        upload,
        _CompletionOptions(session.lease_crc32c, session.lease_replace_existing),
        keep_lease_on_failure=True,
    )


def recover_from_object(services: Services, upload: Upload) -> File | CompletionAccepted:
    """Complete an upload whose object S3 has made though no row says so: an answer was lost and nobody came back, or
    the ledger was set back to an earlier time.

    Raises:
        Moved, UploadIncomplete, ChecksumMismatch, FileExists, UploadExpired: as `resume`.
    """
    session = upload.record
    if session.state is UploadState.CREATING:
        services.upload_repository.mark_open(session.upload_id, None, due_at=upload.expires_at)
        session = replace(session, state=UploadState.OPEN, version=session.version + 1)
    wanted = _CompletionOptions(session.crc32c, session.replace_existing)
    return _complete_under_lease(services, replace(upload, record=session), wanted, keep_lease_on_failure=True)


def resume_async(services: Services, upload_id: str, lease_id: str) -> File | CompletionAccepted | None:
    """Go on at once with a completion that the holder of its lease, `attempt`, has handed on.

    None: it is no longer under that lease, so others are at it, or have ended it. The same hand-over may come twice.

    Raises:
        UploadIncomplete, ChecksumMismatch, FileExists, UploadExpired: as `resume`.
    """
    upload = services.upload_repository.get_upload(upload_id)
    if upload is None or upload.record.state is not UploadState.COMPLETING or upload.record.lease_id != lease_id:
        return None
    wanted = _CompletionOptions(upload.record.lease_crc32c, upload.record.lease_replace_existing)
    try:
        return _complete_under_lease(services, upload, wanted, previous_lease_id=lease_id, keep_lease_on_failure=True)
    except ConcurrentUpdate:
        return None


def _try_complete(services: Services, ns: str, request: CompleteRequest) -> File | CompletionAccepted:
    upload = find_current(services, ns, request.name, request.upload_id, allow_complete=True)
    session = upload.record
    if session.state is UploadState.COMPLETE and session.file is not None:
        if request.crc32c not in (None, session.file.crc32c):
            raise ChecksumMismatch("the upload is complete, and its file has another checksum")
        return session.file
    raise_if_ended(services, upload)
    if session.state is UploadState.COMPLETING:
        if session.lease_expires_at >= services.clock():
            return CompletionAccepted(session.upload_id, retry_after_seconds=2)
        crc, over = session.lease_crc32c, session.lease_replace_existing
    else:
        upload = ensure_open(services, upload)
        crc, over = session.crc32c, session.replace_existing
    wanted = _CompletionOptions(
        crc if request.crc32c is None else request.crc32c,
        over if request.replace_existing is None else request.replace_existing,
    )
    listed = None
    if session.state is not UploadState.COMPLETING:
        listed = _precheck(services, upload, wanted)
    return _complete_under_lease(services, upload, wanted, listed_parts=listed)


def _precheck(services: Services, upload: Upload, options: _CompletionOptions) -> PartsByNumber | None:
    """The usual refusals, before anything is changed. Returns the parts, if that took a listing."""
    session = upload.record
    # Only then may there be one: nobody else begins an upload of the name meanwhile, and a start looks.
    if not options.replace_existing and (session.replace_existing or session.stored_object is not None):
        file = services.upload_repository.get_file(session.ns, session.name)
        if file is not None and file.upload_id != session.upload_id:
            raise FileExists
    if session.stored_object is not None:
        return None
    listed: PartsByNumber | None = None
    if upload.has_presigned_parts:
        try:
            listed = list_parts(services, session)
        except MultipartUploadNotFound:
            return None  # under the lease it is settled what became of it
    there = compute_received(upload, listed or {})
    if there.total_bytes != session.layout.size:
        missing = list(missing_ranges(there.chunks, session.layout.chunk_count))
        raise UploadIncomplete(missing=missing[:MAX_MISSING_RANGES])
    return listed


def _complete_under_lease(
    services: Services,
    expected: Upload,
    options: _CompletionOptions,
    *,
    previous_lease_id: str | None = None,
    listed_parts: PartsByNumber | None = None,
    keep_lease_on_failure: bool = False,
) -> File | CompletionAccepted:
    """Take the lease, and do the work under it. Only what stands when the stripes are closed is judged.

    `patient`: where a backend fails, the lease is left to lapse, for the next sweep to go on, as long as the upload
    may last, and beyond that when its object is made. Whoever asked for it was told to wait, and may not ask again.
    """
    attempt, now = services.new_id(), services.clock()
    mine = replace(expected, record=replace(expected.record, lease_id=attempt))
    made = expected.record.stored_object
    try:
        mine = services.upload_repository.acquire_lease(
            expected,
            lease_id=attempt,
            expires_at=now + services.lease_duration_ms,
            now=now,
            replace_existing=options.replace_existing,
            crc32c=options.crc32c,
            previous_lease_id=previous_lease_id,
        )
        if made is None:
            made = build_object(
                services,
                mine,
                options.crc32c,
                has_prior_attempt=expected.record.first_leased_at is not None,
                listed_parts=listed_parts,
            )
        return _commit_file(services, mine, made, options)
    except TimeBudgetExceeded:
        try:
            services.completion_queue.enqueue(mine.record.upload_id, attempt)
        except BackendUnavailable as error:
            # The guarantee is not this but the lease, which lapses: the sweep over those, or the next request, goes on.
            logger.warning("%s could not be handed on: %s", mine.record.upload_id, error.__cause__ or error)
        return CompletionAccepted(mine.record.upload_id, retry_after_seconds=ASYNC_RETRY_AFTER_SECONDS)
    except CompletionPending:
        return CompletionAccepted(
            mine.record.upload_id, retry_after_seconds=max(1, services.lease_duration_ms // SECOND_MS)
        )
    except ObjectChecksumMismatch as wrong:
        _release_lease(services, mine, wrong.stored_object)
        raise ChecksumMismatch(CHECKSUM_MISMATCH_DETAIL) from None
    except UploadIncomplete as error:
        lost = [index for first, last in error.extra["missing"] for index in range(first, last + 1)]
        _release_lease(services, mine, made, lost_chunks=lost)
        raise
    except (ChecksumMismatch, FileExists):
        _release_lease(services, mine, made)
        raise
    except BackendUnavailable:
        session = expected.record
        lasting = made is not None or services.clock() < session.created_at + session.max_age_ms
        if not (keep_lease_on_failure and lasting):
            with suppress(ConcurrentUpdate):
                _release_lease(services, mine, made)
        raise


def _release_lease(
    services: Services, upload: Upload, stored_object: StoredObject | None, lost_chunks: Iterable[int] = ()
) -> None:
    """End the lease. Where that fails, it lapses by itself.

    Raises:
        Moved: it was not ours any more. Whoever took it judges anew, and what was found under it counts no longer.
    """
    session = upload.record
    with suppress(BackendUnavailable):
        services.upload_repository.release_lease(
            upload,
            lease_id=session.lease_id or "",
            stored_object=stored_object,
            lost_chunks=lost_chunks,
            due_at=upload.expires_at,
        )


def _existing_result(services: Services, record: UploadRecord) -> File:
    """The file that another attempt has made of the upload meanwhile. Raises `Moved` when none has, yet."""
    settled = services.upload_repository.get_upload(record.upload_id)
    if settled is None or settled.record.file is None:
        raise ConcurrentUpdate
    return settled.record.file


def _commit_file(services: Services, upload: Upload, stored_object: StoredObject, options: _CompletionOptions) -> File:
    """Point the name to the object, or find that somebody already has."""
    session, crc, modified = upload.record, stored_object.crc32c, stored_object.last_modified_seconds
    if options.crc32c not in (None, crc):
        raise ChecksumMismatch(CHECKSUM_MISMATCH_DETAIL)
    if crc is None or modified is None:
        raise BackendUnavailable("the store did not tell the checksum or the date of the object it has made")
    look = options.replace_existing

    def once() -> File:
        # Where nothing may be replaced there is hardly anything: the write's condition finds out, and only then is it
        # read.
        nonlocal look
        over = services.upload_repository.get_file(session.ns, session.name) if look else None
        look = True
        if over is not None and over.upload_id == session.upload_id:
            return _existing_result(services, session)
        if over is not None and not options.replace_existing:
            raise FileExists
        now = services.clock()
        file = File(
            ns=session.ns,
            name=session.name,
            upload_id=session.upload_id,
            size=session.layout.size,
            etag=stored_object.etag,
            crc32c=crc,
            content_type=session.content_type,
            metadata=session.metadata,
            fingerprint=session.fingerprint,
            uploaded_at=now,
            # Later than the old file's already (start sees to it), but for clocks that disagree.
            last_modified_seconds=modified if over is None else max(modified, over.last_modified_seconds + 1),
            counted_in_quota=session.counted_in_quota,
        )
        try:
            services.upload_repository.commit_file(
                session,
                file,
                replaced_file=over,
                staged_chunks_due_at=now + HOUR_MS,
                object_due_at=now + OBJECT_RETENTION_MS,
                ttl_epoch_seconds=ended_ttl_epoch_seconds(services),
                publish_deadline=publish_deadline(services),
            )
        except ConcurrentUpdate:
            return _existing_result(services, session)
        replaced = over.upload_id if over else None
        publish_completed(
            services,
            replace(
                session, state=UploadState.COMPLETE, file=file, replaced_upload_id=replaced, ended_at=file.uploaded_at
            ),
        )
        return file

    return retry_on_conflict(once)


def publish_completed(services: Services, record: UploadRecord) -> None:
    """Tell it, and clear the note. Where either fails the file is there all the same, and the note with it."""
    if services.event_publisher is not None and publish(services, pending_events(record)):
        with suppress(ConcurrentUpdate, BackendUnavailable):
            services.upload_repository.clear_pending_event(
                record, due_at=None, ttl_epoch_seconds=ended_ttl_epoch_seconds(services)
            )
