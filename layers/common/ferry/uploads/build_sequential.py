"""Prepare the object of a sequential upload: its last part, or the whole object of a file smaller than a part.

The pieces are durable and never change, and the offset does not move any more. So every attempt stores the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from ferry.errors import ChecksumMismatch
from ferry.model.objects import StoredObject
from ferry.model.sequential import Piece, SequentialState
from ferry.model.uploads import UploadRecord
from ferry.rules.digests import combine_crc32c_all
from ferry.services import Services
from ferry.uploads.assembly import fetch_objects
from ferry.uploads.outcomes import Built, Rejected


def read_pieces(services: Services, record: UploadRecord, pieces: Sequence[Piece]) -> bytes | None:
    """Return the bytes of the pieces, in order; None if one of them is gone."""
    bodies = fetch_objects(services, [record.piece_key(piece) for piece in pieces])
    found = [body for body in bodies if body is not None]
    return b"".join(found) if len(found) == len(bodies) else None


def build_from_pieces(
    services: Services, record: UploadRecord, state: SequentialState, expected_crc: int | None, mismatch_detail: str
) -> Built | Rejected | None:
    """Put the object of a file that has no multipart upload, without its date. None if a piece is gone."""
    crc = pieces_crc(state.pieces)
    if expected_crc not in (None, crc):
        return Rejected(ChecksumMismatch(mismatch_detail))
    body = read_pieces(services, record, state.pieces)
    if body is None:
        return None
    stored = services.object_store.put(record.object_key, body, crc32c=crc, content_type=record.content_type)
    return Built(StoredObject(stored.etag, len(body), crc))


def upload_last_part(services: Services, record: UploadRecord, state: SequentialState) -> bool:
    """Upload the part that the pieces make up, if there are any. Return False if a piece is gone.

    Raises:
        MultipartUploadNotFound: an earlier attempt has built the object.
    """
    if not state.pieces:
        return True
    body = read_pieces(services, record, state.pieces)
    if body is None:
        return False
    services.object_store.upload_part(
        record.object_key,
        record.multipart_id or "",
        record.layout.part_count,
        body,
        crc32c=pieces_crc(state.pieces),
    )
    return True


def pieces_crc(pieces: Sequence[Piece]) -> int:
    """Return the CRC32C of the pieces together."""
    return combine_crc32c_all((piece.crc32c, piece.size) for piece in pieces)
