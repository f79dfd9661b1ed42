"""Parts straight to S3: presigned PUTs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ferry.errors import ChunkConflict, PartNumberOutOfRange
from ferry.model.uploads import Upload
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import SECOND_MS
from ferry.services import Services
from ferry.uploads.assembly import part_crc
from ferry.uploads.lookup import find_open


@dataclass(frozen=True, slots=True)
class PartsRequest:
    """`parts` are part numbers from 1, each with the CRC32C of its bytes or None."""

    name: str
    parts: Sequence[tuple[int, int | None]]
    upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class PresignedPart:
    """A PUT that S3 accepts until `expires_at` (epoch ms) with exactly these headers and `size` bytes."""

    part_number: int
    url: str
    headers: Mapping[str, str]
    size: int
    expires_at: int


def presign_parts(services: Services, ns: str, request: PartsRequest) -> list[PresignedPart]:
    """Sign a PUT per part, in the order asked for.

    A part that chunks have made whole is signed with the CRC32C of those chunks: S3 then refuses any other bytes.

    Raises:
        PartNumberOutOfRange: the plan has no such part.
        ChunkConflict: chunks have made the part whole, with another CRC32C than the one given.
        UploadNotFound, UploadSuperseded, UploadExpired, UploadCancelled, UploadCompleting, UploadComplete: no session
        that takes them.
    """
    upload = retry_on_conflict(lambda: _mark_presigned(services, ns, request))
    signed = []
    expires_at = services.clock() + services.presigned_url_ttl_seconds * SECOND_MS
    for number, crc in request.parts:
        session = upload.record
        size = session.layout.part_length(number)
        pinned = _required_crc(services, upload, number, crc)
        to_sign = services.object_store.presign_part(
            session.object_key,
            session.multipart_id or "",
            number,
            size=size,
            crc32c=pinned,
            ttl_seconds=services.presigned_url_ttl_seconds,
        )
        signed.append(PresignedPart(number, to_sign.url, to_sign.headers, size, expires_at))
    return signed


def _mark_presigned(services: Services, ns: str, request: PartsRequest) -> Upload:
    """The upload, read after every stripe says that URLs exist: from then on no chunk has a part as its only copy."""
    upload = find_open(services, ns, request.name, request.upload_id)
    grid = upload.record.layout
    for number, _ in request.parts:
        if not grid.has_part(number):
            raise PartNumberOutOfRange.for_member("parts", f"the plan has parts 1 to {grid.part_count}")
    upload_id = upload.record.upload_id
    if upload.has_presigned_parts:
        services.upload_repository.record_activity(upload_id, now=services.clock())
        return upload
    services.upload_repository.mark_presigned(upload, now=services.clock())
    fenced = services.upload_repository.get_upload(upload_id)
    if fenced is None or not fenced.has_presigned_parts:
        raise ConcurrentUpdate
    return fenced


def _required_crc(services: Services, upload: Upload, part_number: int, requested_crc: int | None) -> int | None:
    if not upload.record.layout.supports_chunks or not upload.has_all_chunks_of_part(part_number):
        return requested_crc
    of_chunks = part_crc(
        upload.record, part_number, services.upload_repository.get_chunk_digests(upload.record.upload_id, part_number)
    )
    if requested_crc is not None and requested_crc != of_chunks:
        raise ChunkConflict(f"chunks have made part {part_number} whole, with other bytes; the first stay")
    return of_chunks
