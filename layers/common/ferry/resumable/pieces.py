"""Store appended bytes: as pieces of the current part, or joined with its pieces as the part itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from ferry.errors import BackendUnavailable
from ferry.model.sequential import MAX_PIECES, Piece
from ferry.model.uploads import UploadRecord
from ferry.ports.errors import ConcurrentUpdate
from ferry.rules.digests import combine_crc32c_all, crc32c
from ferry.services import Services
from ferry.uploads.build_sequential import read_pieces


class JoinedPieces(NamedTuple):
    """The pieces of the current part after some of them were joined."""

    pieces: tuple[Piece, ...]
    """The pieces as they become."""
    replaced: tuple[Piece, ...]
    """The pieces that the joined one replaces. They are deleted once the record no longer names them."""


def put_piece(services: Services, record: UploadRecord, piece_id: str, body: bytes) -> Piece:
    """Store bytes as a piece, under a key that no other request uses."""
    piece = Piece(piece_id, len(body), crc32c(body))
    services.object_store.put(record.piece_key(piece), body, crc32c=piece.crc32c)
    return piece


def upload_current_part(services: Services, record: UploadRecord, pieces: Sequence[Piece], rest: bytes) -> None:
    """Upload the part that the pieces and the `rest` make up. Only the holder of the claim may do so.

    Raises:
        ConcurrentUpdate: a piece is gone, so the upload is no longer as read; or the claim has ended, as in a process
            that was suspended: another request may have uploaded the part since.
        MultipartUploadNotFound: the upload has ended meanwhile.
    """
    assert record.sequential is not None
    body, claim = read_pieces(services, record, pieces), record.sequential.claim
    if body is None or claim is None or claim.expires_at <= services.clock():
        raise ConcurrentUpdate
    checksums = [*((piece.crc32c, piece.size) for piece in pieces), (crc32c(rest), len(rest))]
    services.object_store.upload_part(
        record.object_key,
        record.multipart_id or "",
        record.sequential.offset // record.layout.part_size + 1,
        body + rest,
        crc32c=combine_crc32c_all(checksums),
    )


def join_pieces(services: Services, record: UploadRecord, pieces: tuple[Piece, ...]) -> JoinedPieces:
    """Join the last pieces if there are too many: from the end, while a piece has at most twice the bytes behind it.

    Raises:
        ConcurrentUpdate: a piece is gone, so the upload is no longer as read.
    """
    if len(pieces) < MAX_PIECES:
        return JoinedPieces(pieces, ())
    first = first_to_join([piece.size for piece in pieces])
    kept, replaced = pieces[:first], pieces[first:]
    body = read_pieces(services, record, replaced)
    if body is None:
        raise ConcurrentUpdate
    return JoinedPieces((*kept, put_piece(services, record, services.new_id(), body)), replaced)


def first_to_join(sizes: Sequence[int]) -> int:
    """Return the index of the first piece to join with all behind it; at least the last two are joined."""
    first = len(sizes) - 2
    total = sizes[first] + sizes[first + 1]
    while first and sizes[first - 1] <= 2 * total:
        first -= 1
        total += sizes[first]
    return first


def delete_pieces(services: Services, record: UploadRecord, pieces: Sequence[Piece]) -> None:
    """Delete pieces that the record no longer names. If that fails, they are deleted when the upload ends."""
    with suppress(BackendUnavailable):
        for piece in pieces:
            services.object_store.delete(record.piece_key(piece))
