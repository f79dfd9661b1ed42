"""Make the object of an upload whose bytes are all there, under a lease (docs/decisions/0001, complete 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ferry.errors import BackendUnavailable, ChecksumMismatch, UploadExpired, UploadIncomplete
from ferry.model.objects import StoredObject, StoredPart
from ferry.model.uploads import ChunkDigest, Upload, UploadState
from ferry.ports.errors import DeadlineExceeded, MultipartUploadNotFound, PartChanged, StoreChecksumMismatch
from ferry.rules.digests import combine_crc32c_all, crc32c
from ferry.rules.durations import MINUTE_MS, SECOND_MS
from ferry.rules.layout import to_ranges
from ferry.services import Services
from ferry.uploads.assembly import assemble_part, part_crc
from ferry.uploads.received import list_parts
from ferry.uploads.terminate import terminate

DigestsByPart = Mapping[int, Mapping[int, ChunkDigest]]
PartsByNumber = Mapping[int, StoredPart]

MAX_RELISTS = 5
"""How often parts are listed again when late URLs keep changing them."""

CHECKSUM_MISMATCH_DETAIL = "the bytes that were uploaded do not have that checksum; send the right one, or cancel"

PRIOR_ATTEMPT_WINDOW_MS = 15 * MINUTE_MS
"""How long an earlier attempt may still be under way inside S3."""

PRIOR_ATTEMPT_POLL_SECONDS = 2.0
"""Seconds from one look for its object to the next, for a minute at most."""

COMPLETE_CALL_GRACE_MS = 3 * SECOND_MS
"""How much longer than for mending an attempt waits for S3 to put the object together."""


class ObjectChecksumMismatch(Exception):
    """The object exists, and does not have the checksum that the file must have."""

    def __init__(self, stored_object: StoredObject) -> None:
        super().__init__("the object has another checksum")
        self.stored_object = stored_object


class CompletionPending(Exception):
    """Not done, and not to be undone: the lease lapses, and whoever comes next goes on."""


class TimeBudgetExceeded(CompletionPending):
    """There is more to put together than one request has time for; what has been done stays done."""


def build_object(
    services: Services,
    upload: Upload,
    expected_crc: int | None,
    *,
    has_prior_attempt: bool,
    listed_parts: PartsByNumber | None = None,
) -> StoredObject:
    """The upload's object, whole and checked.

    Args:
        engine: the backends.
        upload: as read after its stripes were closed, under the caller's lease.
        wanted: the CRC32C the whole file must have, or None.
        tried_before: whether an earlier attempt may have made it, or be making it.
        listed: its parts, where they were listed after the upload was read: S3 refuses whatever has changed since.

    Raises:
        ChecksumMismatch: it would have another CRC32C; nothing was made.
        WrongObject: it has been made before, with another CRC32C.
        UploadIncomplete: chunks (`missing`) turned out not to be durable.
        UploadExpired: S3 has neither the multipart upload nor the object; the session is ended.
        OutOfTime: `engine.mending` is over; or S3 takes longer than that over the object.
        StillMaking: an earlier attempt must settle first.
    """
    session = upload.record
    if not session.layout.size:
        if expected_crc not in (None, 0):
            raise ChecksumMismatch("an empty file has the CRC32C 0 (AAAAAA==)")
        empty = services.object_store.put(session.object_key, b"", crc32c=0, content_type=session.content_type)
        return _with_head_metadata(services, upload, StoredObject(empty.etag, 0, 0))
    claims = _digests_to_verify(services, upload)
    give_up = services.clock() + services.assembly_budget_ms
    until = give_up + COMPLETE_CALL_GRACE_MS
    try:
        for _ in range(MAX_RELISTS):
            if listed_parts is None:
                listed_parts = list_parts(services, session)
            parts = _verify_parts(services, upload, listed_parts, claims, give_up)
            listed_parts = None
            with suppress(PartChanged):
                return _complete_multipart(services, upload, parts, expected_crc, until)
    except MultipartUploadNotFound:
        return _recover_existing(services, upload, expected_crc, has_prior_attempt=has_prior_attempt, deadline=until)
    raise BackendUnavailable("parts of this upload keep changing; stop sending them and complete again")


def _complete_multipart(
    services: Services, upload: Upload, parts: list[StoredPart], expected_crc: int | None, deadline: int
) -> StoredObject:
    """The one call, with the CRC32C that the object must have. Raises `PartChanged`, `NoSuchMultipart`."""
    session = upload.record
    expected = _combined_crc(parts)
    if expected_crc is not None and expected not in (None, expected_crc):
        raise ChecksumMismatch(CHECKSUM_MISMATCH_DETAIL)
    if services.clock() >= deadline:
        raise TimeBudgetExceeded
    crc = expected if expected_crc is None else expected_crc
    try:
        made = services.object_store.complete_multipart(
            session.object_key,
            session.multipart_id or "",
            parts,
            size=session.layout.size,
            crc32c=crc,
            deadline=deadline,
        )
    except DeadlineExceeded:
        raise TimeBudgetExceeded from None
    except StoreChecksumMismatch:
        raise ChecksumMismatch(CHECKSUM_MISMATCH_DETAIL) from None
    told = crc if made.crc32c is None else made.crc32c
    return _with_head_metadata(services, upload, StoredObject(made.etag, session.layout.size, told))


def _digests_to_verify(services: Services, upload: Upload) -> DigestsByPart:
    """All claims, where a late URL may have overwritten what chunks have made; else nothing needs them."""
    if upload.has_presigned_parts and upload.received_bytes:
        return services.upload_repository.get_all_chunk_digests(upload.record.upload_id)
    return {}


def _verify_parts(
    services: Services, upload: Upload, listed_parts: PartsByNumber, chunk_digests: DigestsByPart, deadline: int
) -> list[StoredPart]:
    """Every part, present, of its size, and made of its acknowledged chunks; what is not is mended from the stages.

    A mended part is named as the store took it, not as it is listed afterwards: a late URL may overwrite it in between.
    """
    parts: list[StoredPart] = []
    lost: list[int] = []
    for number in range(1, upload.record.layout.part_count + 1):
        part = listed_parts.get(number)
        if part is None or not _is_intact(upload, part, chunk_digests):
            if services.clock() >= deadline:
                raise TimeBudgetExceeded
            part, absent = _reassemble_part(services, upload, number, chunk_digests, part)
            lost += absent
        if part is not None:
            parts.append(part)
    if lost:
        raise UploadIncomplete(missing=list(to_ranges(sorted(lost))))
    return parts


def _is_intact(upload: Upload, part: StoredPart, chunk_digests: DigestsByPart) -> bool:
    if part.size != upload.record.layout.part_length(part.number):
        return False
    if part.number not in chunk_digests or not upload.has_all_chunks_of_part(part.number):
        return True
    return part.crc32c == part_crc(upload.record, part.number, chunk_digests[part.number])


def _reassemble_part(
    services: Services, upload: Upload, part_number: int, chunk_digests: DigestsByPart, listed_part: StoredPart | None
) -> tuple[StoredPart | None, Sequence[int]]:
    """Put a part together from its stages; or the indexes of chunks that are not durable after all.

    A store that lists no CRCs leaves open whether a part was overwritten. A chunk without a stage then settles it: its
    part was assembled before any URL was signed, and such a part is only ever signed with its own CRC.
    """
    session = upload.record
    indexes = session.layout.chunks_in_part(part_number)
    if not upload.has_all_chunks_of_part(part_number):
        return None, [index for index in indexes if not upload.has_chunk(index)]
    of_part = chunk_digests.get(part_number) or services.upload_repository.get_chunk_digests(
        session.upload_id, part_number
    )
    if any(index not in of_part for index in indexes):
        return None, [index for index in indexes if index not in of_part]
    made = assemble_part(services, session, part_number, of_part, {})
    if (
        made.part is None
        and listed_part
        and listed_part.crc32c is None
        and listed_part.size == session.layout.part_length(part_number)
    ):
        return listed_part, ()
    return made.part, made.missing


def _combined_crc(parts: list[StoredPart]) -> int | None:
    """Combined from the parts' CRCs, never recomputed; None where the store does not tell one."""
    pieces = [(part.crc32c, part.size) for part in parts if part.crc32c is not None]
    return combine_crc32c_all(pieces) if len(pieces) == len(parts) else None


def _with_head_metadata(services: Services, upload: Upload, stored_object: StoredObject) -> StoredObject:
    """With what the call that made it leaves out: the date it has from now on, and perhaps its checksum."""
    if stored_object.crc32c is not None and stored_object.last_modified_seconds is not None:
        return stored_object
    found = services.object_store.head(upload.record.object_key)
    crc = stored_object.crc32c if stored_object.crc32c is not None or found is None else found.crc32c
    if found is None or crc is None:
        raise BackendUnavailable("the store does not tell the checksum or the date of the object it has made")
    return replace(stored_object, crc32c=crc, last_modified_seconds=found.last_modified_seconds)


def _recover_existing(
    services: Services, upload: Upload, expected_crc: int | None, *, has_prior_attempt: bool, deadline: int
) -> StoredObject:
    """S3 knows the multipart upload no more: an earlier attempt made the object, or the bytes are gone."""
    session = upload.record
    found = services.object_store.head(session.object_key)
    settling = (
        has_prior_attempt
        and session.first_leased_at is not None
        and services.clock() < session.first_leased_at + PRIOR_ATTEMPT_WINDOW_MS
    )
    deadline = min(deadline, services.clock() + MINUTE_MS)
    while found is None and settling and services.clock() < deadline:
        services.sleep(PRIOR_ATTEMPT_POLL_SECONDS)
        found = services.object_store.head(session.object_key)
    if found is not None and found.size == session.layout.size and _matches_recorded_chunks(services, upload, found):
        found = _with_head_metadata(services, upload, found)
        if expected_crc is not None and found.crc32c != expected_crc:
            raise ObjectChecksumMismatch(found)
        return found
    if found is None and settling:
        raise CompletionPending
    terminate(services, upload, UploadState.EXPIRED, lease_id=session.lease_id)
    raise UploadExpired("S3 no longer has the bytes of this upload; start it again")


def _matches_recorded_chunks(services: Services, upload: Upload, stored_object: StoredObject) -> bool:
    """Whether an object that an earlier attempt made has every part that chunks have made whole.

    It can differ where chunks were acknowledged since: over a part put straight to S3, or in a ledger set back to an
    earlier time. Only where the CRCs do not settle it are bytes read back, and nowhere else.
    """
    session = upload.record
    of_parts = {
        number: part_crc(session, number, claims)
        for number, claims in (
            services.upload_repository.get_all_chunk_digests(session.upload_id) if upload.received_bytes else {}
        ).items()
        if upload.has_all_chunks_of_part(number)
    }
    if len(of_parts) == session.layout.part_count and stored_object.crc32c is not None:
        pieces = [(crc, session.layout.part_length(n)) for n, crc in sorted(of_parts.items()) if crc is not None]
        return len(pieces) == len(of_parts) and combine_crc32c_all(pieces) == stored_object.crc32c
    return all(_stored_part_crc(services, upload, number) == crc for number, crc in of_parts.items())


def _stored_part_crc(services: Services, upload: Upload, part_number: int) -> int | None:
    grid = upload.record.layout
    first = (part_number - 1) * grid.part_size
    body = services.object_store.get(upload.record.object_key, first, first + grid.part_length(part_number) - 1)
    return None if body is None else crc32c(body)
