"""Stages, and parts made of them."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ferry.digests import combine_all
from ferry.engine import Engine
from ferry.model import Claim, Session, StoredPart

FETCHES = 8
"""Stages fetched at once for one part."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """The part that was made; or, when there is none, the indexes of the chunks that have no stage."""

    part: StoredPart | None
    absent: tuple[int, ...] = ()


def stage(engine: Engine, session: Session, index: int, claim: Claim, body: bytes) -> None:
    """Keep a chunk as an object of its own until its part is whole."""
    engine.objects.put(session.stage_key(index, claim), body, crc32c=claim.crc32c)


def crc_of_part(session: Session, number: int, claims: Mapping[int, Claim]) -> int | None:
    """The CRC32C of a part made of claimed chunks; None unless every one is claimed."""
    grid = session.grid
    indexes = grid.chunks_of_part(number)
    if any(index not in claims for index in indexes):
        return None
    return combine_all((claims[index].crc32c, grid.length_of_chunk(index)) for index in indexes)


def assemble(
    engine: Engine, session: Session, number: int, claims: Mapping[int, Claim], have: Mapping[int, bytes]
) -> Assembled:
    """Make a part of its chunks: those at hand, and the others' stages.

    S3 is told the CRC32C that follows from the claims, and refuses a part that does not have it.

    Args:
        engine: the backends.
        session: the upload, open at S3.
        number: the part, from 1.
        claims: by chunk index; every chunk of the part must be claimed.
        have: bodies at hand, by chunk index.

    Raises:
        NoSuchMultipart: the upload is not open at S3 any more.
    """
    crc = crc_of_part(session, number, claims)
    if crc is None or session.multipart_id is None:
        raise ValueError("only a part whose chunks are all claimed can be assembled")
    indexes = session.grid.chunks_of_part(number)
    bodies: dict[int, bytes | None] = {**have}
    wanted = [index for index in indexes if index not in have]
    keys = [session.stage_key(index, claims[index]) for index in wanted]
    if len(keys) > 1:
        with ThreadPoolExecutor(min(FETCHES, len(keys))) as pool:
            bodies.update(zip(wanted, pool.map(engine.objects.get, keys), strict=True))
    elif keys:
        bodies[wanted[0]] = engine.objects.get(keys[0])
    pieces: list[bytes] = []
    absent: list[int] = []
    for index in indexes:
        piece = bodies[index]
        if piece is None:
            absent.append(index)
        else:
            pieces.append(piece)
    if absent:
        return Assembled(None, tuple(absent))
    body = b"".join(pieces)
    return Assembled(engine.objects.upload_part(session.object_key, session.multipart_id, number, body, crc32c=crc))
