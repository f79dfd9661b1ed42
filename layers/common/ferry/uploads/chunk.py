"""A chunk through the API: verified, claimed, made durable, recorded, acknowledged, in this order."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace

from ferry.digests import Digest, claim_digest, crc32c, verify
from ferry.engine import Engine
from ferry.errors import (
    BackendUnavailable,
    ChunkConflict,
    ChunkIndexOutOfRange,
    ChunkSizeMismatch,
    ChunksUnavailable,
    ChunkTooLarge,
    UploadExpired,
)
from ferry.grid import MAX_CHUNK_SIZE
from ferry.model import Claim, Progress, Upload
from ferry.ports import Moved, NoSuchMultipart
from ferry.uploads.assembly import assemble, stage
from ferry.uploads.current import DECISIONS, decide, find_open, is_expired
from ferry.uploads.received import landed_parts, received

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChunkRequest:
    """`index` counts from 1; `digests` are verified before anything is stored."""

    name: str
    index: int
    body: bytes
    upload_id: str | None = None
    digests: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkAccepted:
    """`received` and `size` are bytes; `received` counts both paths."""

    upload_id: str
    index: int
    received: int
    size: int


def send(engine: Engine, ns: str, request: ChunkRequest) -> ChunkAccepted:
    """Take a chunk. When this returns, its bytes are durable and counted, once.

    Raises:
        ChunkTooLarge, ChunkIndexOutOfRange, ChunkSizeMismatch, ChunksUnavailable: it is not in the plan.
        ChecksumMismatch, ChecksumUnsupported: nothing was stored.
        ChunkConflict: other bytes were accepted for it.
        UploadNotFound, UploadSuperseded, UploadExpired, UploadCancelled, UploadCompleting, UploadComplete: no session
        that takes it.
    """
    if len(request.body) > MAX_CHUNK_SIZE:
        raise ChunkTooLarge
    verify(request.body, request.digests)
    claim = Claim(claim_digest(request.body), crc32c(request.body))
    return decide(lambda: _send(engine, ns, request, claim))


def _send(engine: Engine, ns: str, request: ChunkRequest, claim: Claim) -> ChunkAccepted:
    upload = find_open(engine, ns, request.name, request.upload_id)
    _check_against_plan(upload, request)
    session, index = upload.session, request.index
    number = session.grid.part_of_chunk(index)
    if upload.has_chunk(index):
        if engine.ledger.claims(session.upload_id, number).get(index) != claim:
            raise ChunkConflict
        return _accepted(engine, upload, index)
    claims = engine.ledger.claim(session.upload_id, number, index, claim)
    if claims.get(index) != claim:
        raise ChunkConflict

    others = [other for other in session.grid.chunks_of_part(number) if other != index]
    assembled = False
    if not upload.direct and all(other in claims and upload.has_chunk(other) for other in others):
        # Without its multipart upload the record below, or the completion, finds out what became of it.
        with suppress(NoSuchMultipart):
            assembled = assemble(engine, session, number, claims, {index: request.body}).part is not None
    if not assembled:
        stage(engine, session, index, claim, request.body)

    row, assembled = _record(engine, upload, request, claim, assembled)
    stripes = tuple(row if stripe.stripe == row.stripe else stripe for stripe in upload.stripes)
    upload = replace(upload, stripes=stripes)
    if not assembled and upload.has_chunks_of_part(number):
        _assemble_late(engine, upload, number, request)
    return _accepted(engine, upload, index)


def _check_against_plan(upload: Upload, request: ChunkRequest) -> None:
    grid = upload.session.grid
    if not grid.has_chunk(request.index):
        raise ChunkIndexOutOfRange.at("chunk_index", f"the plan has chunks 1 to {grid.chunk_count}")
    if len(request.body) != (length := grid.length_of_chunk(request.index)):
        raise ChunkSizeMismatch.at("data", f"chunk {request.index} has {length} bytes, {len(request.body)} arrived")
    if not grid.assembles:
        raise ChunksUnavailable.at("chunk_index", ChunksUnavailable.title)


def _record(
    engine: Engine, upload: Upload, request: ChunkRequest, claim: Claim, assembled: bool
) -> tuple[Progress, bool]:
    """Count the chunk: the moment it is acknowledged. Returns the stripe, and whether the assembly may stand as its
    only copy.

    Once a URL may have been signed for the part, whatever lands by it could overwrite the assembled part: then the
    chunk is staged as well, before it counts.
    """
    session, index = upload.session, request.index
    if is_expired(engine, upload):
        raise UploadExpired
    row, bit = upload.stripe_of(index), session.grid.bit_of_chunk(index)
    for _ in range(DECISIONS):
        try:
            row = engine.ledger.record(
                session.upload_id, row, bit, len(request.body), only_chunks=assembled, now=engine.clock()
            )
            return row, assembled
        except Moved as moved:
            if moved.progress is None or not moved.progress.open:
                raise
            row = moved.progress
            if row.has(bit):
                return row, assembled
            if row.direct and assembled:
                stage(engine, session, index, claim, request.body)
                assembled = False
    raise BackendUnavailable("too many chunks are being recorded at once; send it again")


def _assemble_late(engine: Engine, upload: Upload, number: int, request: ChunkRequest) -> None:
    """Two last chunks came together and both were staged. The chunk is durable already, so a failure here is not the
    client's.
    """
    session = upload.session
    try:
        claims = engine.ledger.claims(session.upload_id, number)
        assemble(engine, session, number, claims, {request.index: request.body})
    except (BackendUnavailable, NoSuchMultipart):
        logger.warning("part %d of upload %s is left to be assembled at completion", number, session.upload_id)


def _accepted(engine: Engine, upload: Upload, index: int) -> ChunkAccepted:
    total = received(upload, landed_parts(engine, upload)).bytes if upload.direct else upload.received
    return ChunkAccepted(upload.session.upload_id, index, total, upload.session.grid.size)
