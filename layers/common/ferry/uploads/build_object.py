"""Build the S3 object of an upload under a completion lease (docs/decisions/0001, Complete, steps 3 and 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from ferry.errors import BackendUnavailable, ChecksumMismatch, UploadExpired, UploadIncomplete
from ferry.model.objects import StoredObject, StoredPart
from ferry.model.sequential import SequentialState
from ferry.model.uploads import ChunkDigest, Upload, UploadRecord, UploadState
from ferry.ports.errors import DeadlineExceeded, MultipartUploadNotFound, PartChanged, StoreChecksumMismatch
from ferry.rules.digests import combine_crc32c_all, crc32c
from ferry.rules.durations import MINUTE_MS, SECOND_MS
from ferry.rules.layout import to_ranges
from ferry.services import Services
from ferry.uploads.assembly import assemble_part, part_crc
from ferry.uploads.build_sequential import build_from_pieces, upload_last_part
from ferry.uploads.outcomes import BuildResult, Built, OutOfTime, PriorAttemptPending, Rejected
from ferry.uploads.received import is_stale_assembly, list_parts
from ferry.uploads.terminate import terminate

DigestsByPart = Mapping[int, Mapping[int, ChunkDigest]]
"""Chunk digests by part number, then by chunk index."""

PartsByNumber = Mapping[int, StoredPart]
"""Parts as S3 lists them, by part number."""

MAX_RELISTS = 5
"""How often the parts are listed again after a presigned URL has overwritten one of them."""

CHECKSUM_MISMATCH_DETAIL = (
    "The uploaded bytes do not have the given CRC32C. "
    "Complete again with the checksum of the file that was uploaded, or cancel the upload."
)

BYTES_GONE_DETAIL = "The bytes of this upload are gone. Start it again."

PARTIAL_GONE_DETAIL = "The bytes of a partial upload are gone. Send them again."

PRIOR_ATTEMPT_WINDOW_MS = 15 * MINUTE_MS
"""How long after its first lease an upload's object may still appear, because S3 is working on an earlier call."""

PRIOR_ATTEMPT_POLL_SECONDS = 2.0
"""Pause between two checks for that object."""

PRIOR_ATTEMPT_WAIT_MS = MINUTE_MS
"""How long one attempt checks for that object at most."""

COMPLETE_CALL_GRACE_MS = 3 * SECOND_MS
"""How long CompleteMultipartUpload may run beyond the time budget of an attempt."""


def build_object(
    services: Services,
    upload: Upload,
    expected_crc: int | None,
    *,
    has_prior_attempt: bool,
    listed_parts: PartsByNumber | None = None,
) -> BuildResult:
    """Verify every part, reassemble what is damaged, and have S3 join the parts.

    Args:
        services: the backends; `assembly_budget_ms` limits how long parts are assembled.
        upload: the upload under the caller's lease, with its shards closed.
        expected_crc: the CRC32C that the file must have; None accepts any.
        has_prior_attempt: whether an earlier attempt may have built the object, or may still be building it.
        listed_parts: the parts, if the caller listed them after it read the upload. S3 rejects a part that has
            changed since.

    Raises:
        UploadExpired: S3 has neither the multipart upload nor the object. The upload is expired now.
        BackendUnavailable: a backend failed, or parts keep changing.
    """
    state = upload.record.sequential
    if state is not None and state.sources:
        return _build_final(services, upload, state, expected_crc, has_prior_attempt=has_prior_attempt)
    if state is not None:
        built = _prepare_sequential(services, upload, state, expected_crc)
        if built is not None:
            return built
    elif not upload.record.layout.size:
        return _build_empty(services, upload, expected_crc)
    return _build_from_parts(
        services, upload, expected_crc, has_prior_attempt=has_prior_attempt, listed_parts=listed_parts
    )


def _build_from_parts(
    services: Services,
    upload: Upload,
    expected_crc: int | None,
    *,
    has_prior_attempt: bool,
    listed_parts: PartsByNumber | None,
) -> BuildResult:
    """Verify the parts of the multipart upload and have S3 join them. List them again if one of them changes."""
    chunk_digests = _digests_to_verify(services, upload)
    assembly_deadline = services.clock() + services.assembly_budget_ms
    complete_deadline = assembly_deadline + COMPLETE_CALL_GRACE_MS
    try:
        for _ in range(MAX_RELISTS):
            if listed_parts is None:
                listed_parts = list_parts(services, upload.record)
            parts = _verify_parts(services, upload, listed_parts, chunk_digests, assembly_deadline)
            if not isinstance(parts, list):
                return parts
            try:
                return _complete_multipart(services, upload, parts, expected_crc, complete_deadline)
            except PartChanged:
                listed_parts = None
    except MultipartUploadNotFound:
        return _find_existing(
            services, upload, expected_crc, has_prior_attempt=has_prior_attempt, deadline=complete_deadline
        )
    raise BackendUnavailable("Parts of this upload keep changing. Stop sending them, then complete again.")


def _prepare_sequential(
    services: Services, upload: Upload, state: SequentialState, expected_crc: int | None
) -> BuildResult | None:
    """Build the object of a sequential upload that has no multipart upload; otherwise add what its parts lack.

    Return None if the object can be made of the parts. A record that was restored to an earlier time lacks bytes. Then
    the object cannot be built, and the result is an object that exists already, if any.
    """
    record = upload.record
    if record.multipart_id is None and state.has_all_bytes:
        built = build_from_pieces(services, record, state, expected_crc, CHECKSUM_MISMATCH_DETAIL)
        if isinstance(built, Built):
            return Built(_with_head_metadata(services, upload, built.stored_object))
        if built is not None:
            return built
    if record.multipart_id is None or not state.has_all_bytes:
        return _find_existing(services, upload, expected_crc, has_prior_attempt=False, deadline=services.clock())
    with suppress(MultipartUploadNotFound):
        upload_last_part(services, record, state)
    return None


def _build_final(
    services: Services, upload: Upload, state: SequentialState, expected_crc: int | None, *, has_prior_attempt: bool
) -> BuildResult:
    """Build the object of a final upload from those of its partial uploads."""
    # Imported for concatenation only.
    from ferry.uploads.build_final import SourceNotFound, build_small, copy_parts

    record, deadline = upload.record, services.clock() + services.assembly_budget_ms + COMPLETE_CALL_GRACE_MS
    if record.multipart_id is None:
        stored_object = build_small(services, record, state)
        if stored_object is not None:
            return Built(_with_head_metadata(services, upload, stored_object))
    else:
        try:
            parts = copy_parts(services, record, state)
            return (
                OutOfTime() if parts is None else _complete_multipart(services, upload, parts, expected_crc, deadline)
            )
        except PartChanged as error:
            raise BackendUnavailable("A part of this upload has changed. Repeat the request.") from error
        except SourceNotFound as error:
            raise _expire(services, upload, PARTIAL_GONE_DETAIL) from error
        except MultipartUploadNotFound:
            pass
    return _find_existing(services, upload, expected_crc, has_prior_attempt=has_prior_attempt, deadline=deadline)


def _build_empty(services: Services, upload: Upload, expected_crc: int | None) -> BuildResult:
    """Put the object of an empty file, which has no multipart upload."""
    if expected_crc not in (None, 0):
        return Rejected(ChecksumMismatch("An empty file has the CRC32C 0 (AAAAAA==)."))
    record = upload.record
    empty = services.object_store.put(record.object_key, b"", crc32c=0, content_type=record.content_type)
    return Built(_with_head_metadata(services, upload, StoredObject(empty.etag, 0, 0)))


def _complete_multipart(
    services: Services, upload: Upload, parts: list[StoredPart], expected_crc: int | None, deadline: int
) -> BuildResult:
    """Have S3 join the parts into an object with the expected CRC32C.

    Raises:
        PartChanged: a part was overwritten after it was verified.
        UploadExpired: the bytes are gone.
    """
    record = upload.record
    combined_crc, durable_crc = _combined_crc(parts), record.sequential.crc32c if record.sequential else None
    if combined_crc is not None and durable_crc not in (None, combined_crc):
        # A part was overwritten by an append that was not recorded, and has no other copy.
        raise _expire(services, upload)
    if expected_crc is not None and combined_crc not in (None, expected_crc):
        return Rejected(ChecksumMismatch(CHECKSUM_MISMATCH_DETAIL))
    if services.clock() >= deadline:
        return OutOfTime()
    required_crc = next((crc for crc in (expected_crc, combined_crc, durable_crc) if crc is not None), None)
    try:
        completed = services.object_store.complete_multipart(
            record.object_key,
            record.multipart_id or "",
            parts,
            size=record.layout.size,
            crc32c=required_crc,
            deadline=deadline,
        )
    except DeadlineExceeded:
        return OutOfTime()
    except StoreChecksumMismatch:
        if expected_crc is None and durable_crc is not None:
            raise _expire(services, upload) from None
        return Rejected(ChecksumMismatch(CHECKSUM_MISMATCH_DETAIL))
    except MultipartUploadNotFound:
        # The SDK repeats a call whose response was lost. So S3 may still be building the object for this attempt.
        return _find_existing(services, upload, expected_crc, has_prior_attempt=True, deadline=deadline)
    object_crc = required_crc if completed.crc32c is None else completed.crc32c
    return Built(_with_head_metadata(services, upload, StoredObject(completed.etag, record.layout.size, object_crc)))


def _digests_to_verify(services: Services, upload: Upload) -> DigestsByPart:
    """Return all chunk digests if a part made of chunks may have been overwritten; else nothing."""
    if upload.has_replaced_digests or (upload.has_presigned_parts and upload.recorded_chunk_bytes):
        return services.upload_repository.get_all_chunk_digests(upload.record.upload_id)
    return {}


def _verify_parts(
    services: Services, upload: Upload, listed_parts: PartsByNumber, chunk_digests: DigestsByPart, deadline: int
) -> list[StoredPart] | OutOfTime | Rejected:
    """Return every part of the upload in order, after reassembling those that are missing or damaged.

    A reassembled part has the ETag of its upload, not one of a later listing. If a request to a presigned URL
    overwrites the part after that, the ETag no longer matches, and S3 rejects the completion.
    """
    parts: list[StoredPart] = []
    lost_chunks: list[int] = []
    for part_number in range(1, upload.record.layout.part_count + 1):
        part = listed_parts.get(part_number)
        if part is None or not _is_intact(upload, part, chunk_digests):
            if services.clock() >= deadline:
                return OutOfTime()
            part, missing = _reassemble_part(services, upload, part_number, chunk_digests, part)
            lost_chunks += missing
        if part is not None:
            parts.append(part)
    if lost_chunks:
        lost_chunks.sort()
        return Rejected(UploadIncomplete(missing=list(to_ranges(lost_chunks))), lost_chunks=lost_chunks)
    return parts


def _is_intact(upload: Upload, part: StoredPart, chunk_digests: DigestsByPart) -> bool:
    """Return whether a part has its size and, where all its chunks were recorded, their combined CRC32C.

    Where some are missing, the part was sent to S3 directly, unless it is a stale assembly.
    """
    if part.size != upload.record.layout.part_length(part.number):
        return False
    if part.number not in chunk_digests:
        return True
    if not upload.has_all_chunks_of_part(part.number):
        return not is_stale_assembly(upload, part, chunk_digests[part.number])
    return part.crc32c == part_crc(upload.record, part.number, chunk_digests[part.number])


def _reassemble_part(
    services: Services, upload: Upload, part_number: int, chunk_digests: DigestsByPart, listed_part: StoredPart | None
) -> tuple[StoredPart | None, Sequence[int]]:
    """Assemble a part from its staged chunks. Return the part, or None and the indexes of its missing chunks.

    If the store lists no CRC32C, a part of the right size may have been overwritten. A part with a chunk that was never
    staged is intact: it was assembled before any part was presigned, and a later URL for it accepts only the bytes of
    its chunks.
    """
    record = upload.record
    indexes = record.layout.chunks_in_part(part_number)
    if not upload.has_all_chunks_of_part(part_number):
        return None, [index for index in indexes if not upload.has_chunk(index)]
    part_digests = chunk_digests.get(part_number) or services.upload_repository.get_chunk_digests(
        record.upload_id, part_number
    )
    if any(index not in part_digests for index in indexes):
        return None, [index for index in indexes if index not in part_digests]
    assembled = assemble_part(services, record, part_number, part_digests, {})
    if (
        assembled.part is None
        and listed_part
        and listed_part.crc32c is None
        and listed_part.size == record.layout.part_length(part_number)
    ):
        return listed_part, ()
    return assembled.part, assembled.missing


def _combined_crc(parts: list[StoredPart]) -> int | None:
    """Return the CRC32C of the whole file, combined from those of its parts; None if the store lists none."""
    checksums = [(part.crc32c, part.size) for part in parts if part.crc32c is not None]
    return combine_crc32c_all(checksums) if len(checksums) == len(parts) else None


def _with_head_metadata(services: Services, upload: Upload, stored_object: StoredObject) -> StoredObject:
    """Return the object with its modification date, and with its CRC32C if the call that built it gave none."""
    if stored_object.crc32c is not None and stored_object.last_modified_seconds is not None:
        return stored_object
    head = services.object_store.head(upload.record.object_key)
    crc = stored_object.crc32c if stored_object.crc32c is not None or head is None else head.crc32c
    if head is None or crc is None:
        raise BackendUnavailable("The object store did not return the checksum and date of the new object. Try again.")
    return replace(stored_object, crc32c=crc, last_modified_seconds=head.last_modified_seconds)


def _find_existing(
    services: Services, upload: Upload, expected_crc: int | None, *, has_prior_attempt: bool, deadline: int
) -> Built | PriorAttemptPending | Rejected:
    """Return the object that an earlier attempt built, now that S3 no longer has the multipart upload.

    Raises:
        UploadExpired: no earlier attempt can have built it, so the bytes are gone.
    """
    record = upload.record
    found = services.object_store.head(record.object_key)
    may_appear = (
        has_prior_attempt
        and record.first_leased_at is not None
        and services.clock() < record.first_leased_at + PRIOR_ATTEMPT_WINDOW_MS
    )
    deadline = min(deadline, services.clock() + PRIOR_ATTEMPT_WAIT_MS)
    while found is None and may_appear and services.clock() < deadline:
        services.sleep(PRIOR_ATTEMPT_POLL_SECONDS)
        found = services.object_store.head(record.object_key)
    if found is not None and found.size == record.layout.size and _matches_recorded_chunks(services, upload, found):
        found = _with_head_metadata(services, upload, found)
        if expected_crc is not None and found.crc32c != expected_crc:
            return Rejected(ChecksumMismatch(CHECKSUM_MISMATCH_DETAIL), stored_object=found)
        return Built(found)
    if found is None and may_appear:
        return PriorAttemptPending()
    raise _expire(services, upload)


def _expire(services: Services, upload: Upload, detail: str = BYTES_GONE_DETAIL) -> UploadExpired:
    """End an upload whose bytes are gone, and return the error to raise."""
    terminate(services, upload, UploadState.EXPIRED, lease_id=upload.record.lease_id)
    return UploadExpired(detail)


def _matches_recorded_chunks(services: Services, upload: Upload, stored_object: StoredObject) -> bool:
    """Return whether an object of an earlier attempt contains what was recorded as received.

    It differs if chunks were recorded after that attempt: over a part that was sent to S3 directly, or after the
    metadata store was restored to an earlier time. Every part whose chunks are all recorded must be in the object. A
    chunk of another part must be, unless the upload has presigned parts: then the part may have been sent directly.
    Bytes are read back only where checksums cannot decide.
    """
    record = upload.record
    digests = services.upload_repository.get_all_chunk_digests(record.upload_id) if upload.recorded_chunk_bytes else {}
    part_crcs = {
        part_number: part_crc(record, part_number, part_digests)
        for part_number, part_digests in digests.items()
        if upload.has_all_chunks_of_part(part_number)
    }
    if len(part_crcs) == record.layout.part_count and stored_object.crc32c is not None:
        checksums = [(crc, record.layout.part_length(n)) for n, crc in sorted(part_crcs.items()) if crc is not None]
        return len(checksums) == len(part_crcs) and combine_crc32c_all(checksums) == stored_object.crc32c
    layout = record.layout
    expected = [((n - 1) * layout.part_size, layout.part_length(n), crc) for n, crc in part_crcs.items()]
    if not upload.has_presigned_parts:
        expected += [
            ((index - 1) * layout.chunk_size, layout.chunk_length(index), digest.crc32c)
            for part_number, part_digests in digests.items()
            if part_number not in part_crcs
            for index, digest in part_digests.items()
            if upload.has_chunk(index)
        ]
    return all(_stored_crc(services, record, first, length) == crc for first, length, crc in expected)


def _stored_crc(services: Services, record: UploadRecord, first: int, length: int) -> int | None:
    """Read some bytes of the finished object and return their CRC32C; None if the object is gone."""
    body = services.object_store.get(record.object_key, first, first + length - 1)
    return None if body is None else crc32c(body)
