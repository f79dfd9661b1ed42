"""What has arrived of an upload, by both paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ferry.engine import Engine
from ferry.grid import Range, ranges_of
from ferry.model import Session, StoredPart, Upload
from ferry.ports import NoSuchMultipart


@dataclass(frozen=True, slots=True)
class Received:
    """Ascending inclusive ranges: `chunks` by index, `parts` by number (those that are whole), each by either path;
    `bytes` counts once.
    """

    chunks: list[Range]
    parts: list[Range]
    bytes: int


def list_parts(engine: Engine, session: Session) -> Mapping[int, StoredPart]:
    """The parts that S3 has. Raises `NoSuchMultipart`."""
    if session.multipart_id is None:
        raise NoSuchMultipart
    return engine.objects.list_parts(session.object_key, session.multipart_id, last=session.grid.part_count)


def landed_parts(engine: Engine, upload: Upload) -> Mapping[int, StoredPart]:
    """The parts S3 has, where clients may have put some there themselves; no call for an upload that never signed a
    URL.

    Where S3 knows the multipart upload no more but has its object, every part has landed.
    """
    session = upload.session
    if not (upload.direct and session.state.in_progress):
        return {}
    try:
        return list_parts(engine, session)
    except NoSuchMultipart:
        found = engine.objects.head(session.object_key)
    grid = session.grid
    if found is None or found.size != grid.size:
        return {}
    return {n: StoredPart(n, found.etag, grid.length_of_part(n), None) for n in range(1, grid.part_count + 1)}


def received(upload: Upload, parts: Mapping[int, StoredPart]) -> Received:
    """What is there: durable chunks, and parts of the right size among those listed."""
    grid = upload.session.grid
    if upload.session.made is not None:
        return Received(_all(grid.chunk_count), _all(grid.part_count), grid.size)
    landed = [
        number for number, part in parts.items() if grid.has_part(number) and part.size == grid.length_of_part(number)
    ]
    if not landed and not upload.received:
        return Received([], [], 0)
    chunks = set(upload.chunks())
    total = upload.received
    for number in landed:
        absent = [index for index in grid.chunks_of_part(number) if index not in chunks]
        total += sum(grid.length_of_chunk(index) for index in absent)
        chunks.update(absent)
    ordered = sorted(chunks)
    whole = sorted({grid.part_of_chunk(index) for index in ordered})
    counts: dict[int, int] = dict.fromkeys(whole, 0)
    for index in ordered:
        counts[grid.part_of_chunk(index)] += 1
    parts_whole = (number for number in whole if counts[number] == len(grid.chunks_of_part(number)))
    return Received(list(ranges_of(ordered)), list(ranges_of(parts_whole)), total)


def _all(count: int) -> list[Range]:
    return [(1, count)] if count else []
