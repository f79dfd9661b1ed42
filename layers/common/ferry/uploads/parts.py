"""Parts straight to S3: presigned PUTs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ferry.engine import SECOND, Engine
from ferry.errors import ChunkConflict, PartNumberOutOfRange
from ferry.model import Upload
from ferry.ports import Moved
from ferry.uploads.assembly import crc_of_part
from ferry.uploads.current import decide, find_open


@dataclass(frozen=True, slots=True)
class PartsRequest:
    """`parts` are part numbers from 1, each with the CRC32C of its bytes or None."""

    name: str
    parts: Sequence[tuple[int, int | None]]
    upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class SignedPart:
    """A PUT that S3 accepts until `expires_at` (epoch ms) with exactly these headers and `size` bytes."""

    number: int
    url: str
    headers: Mapping[str, str]
    size: int
    expires_at: int


def sign(engine: Engine, ns: str, request: PartsRequest) -> list[SignedPart]:
    """Sign a PUT per part, in the order asked for.

    A part that chunks have made whole is signed with the CRC32C of those chunks: S3 then refuses any other bytes.

    Raises:
        PartNumberOutOfRange: the plan has no such part.
        ChunkConflict: chunks have made the part whole, with another CRC32C than the one given.
        UploadNotFound, UploadSuperseded, UploadExpired, UploadCancelled, UploadCompleting, UploadComplete: no session
        that takes them.
    """
    upload = decide(lambda: _fenced(engine, ns, request))
    signed = []
    expires_at = engine.clock() + engine.url_lifetime * SECOND
    for number, crc in request.parts:
        session = upload.session
        size = session.grid.length_of_part(number)
        pinned = _pinned_crc(engine, upload, number, crc)
        to_sign = engine.objects.presign_part(
            session.object_key,
            session.multipart_id or "",
            number,
            size=size,
            crc32c=pinned,
            lifetime=engine.url_lifetime,
        )
        signed.append(SignedPart(number, to_sign.url, to_sign.headers, size, expires_at))
    return signed


def _fenced(engine: Engine, ns: str, request: PartsRequest) -> Upload:
    """The upload, read after every stripe says that URLs exist: from then on no chunk has a part as its only copy."""
    upload = find_open(engine, ns, request.name, request.upload_id)
    grid = upload.session.grid
    for number, _ in request.parts:
        if not grid.has_part(number):
            raise PartNumberOutOfRange.at("parts", f"the plan has parts 1 to {grid.part_count}")
    upload_id = upload.session.upload_id
    if upload.direct:
        engine.ledger.touch(upload_id, now=engine.clock())
        return upload
    engine.ledger.mark_direct(upload, now=engine.clock())
    fenced = engine.ledger.upload(upload_id)
    if fenced is None or not fenced.direct:
        raise Moved
    return fenced


def _pinned_crc(engine: Engine, upload: Upload, number: int, given: int | None) -> int | None:
    if not upload.session.grid.assembles or not upload.has_chunks_of_part(number):
        return given
    of_chunks = crc_of_part(upload.session, number, engine.ledger.claims(upload.session.upload_id, number))
    if given is not None and given != of_chunks:
        raise ChunkConflict(f"chunks have made part {number} whole, with other bytes; the first stay")
    return of_chunks
