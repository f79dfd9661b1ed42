"""Status: how far the upload of a name is, and what is missing.

A name's status is that of its newest upload; once that is complete, that of the file. It never takes the absence of
rows for an end: what there is neither an upload nor a file of is not found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ferry.engine import Engine
from ferry.errors import NotFound
from ferry.grid import Grid, Range, gaps_in
from ferry.model import File, Slot, State, StoredPart, Upload
from ferry.ports import Page
from ferry.uploads.current import is_expired
from ferry.uploads.received import Received, landed_parts, received

MAX_MISSING = 100_000
"""The most ranges in `missing`, so that an answer stays below the platform's 6 MB; the first ones, ascending."""

MAX_MISSING_LISTED = 1_000
"""The same for each of the uploads in a list."""

_READS_OF_A_PAGE = 10

_AT_ONCE = 8
"""Uploads of a page that are looked at at the same time: each may take a listing."""


class Phase(StrEnum):
    """An upload's state as clients see it. `PARTIAL` may be everything, as long as nobody has completed it."""

    PENDING = "pending"
    PARTIAL = "partial"
    COMPLETING = "completing"
    COMPLETE = "complete"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def in_progress(self) -> bool:
        return self in (Phase.PENDING, Phase.PARTIAL, Phase.COMPLETING)


_ENDED = {State.EXPIRED: Phase.EXPIRED, State.CANCELLED: Phase.CANCELLED}


@dataclass(frozen=True, slots=True)
class Status:
    """Times are epoch milliseconds, sizes and offsets bytes, `missing` inclusive ranges of chunks.

    Of an expired or cancelled upload nothing can be used any more: nothing counts as received. `chunk_size` and
    `chunk_count` are None when only the file is left, `expires_at` when nothing will expire, `crc32c` when nobody
    gave one yet. `version` grows with whatever changes, from one upload of a name to the next too. `current_file` is
    the finished file of the name, if there is one, unless it is what this status is of.
    """

    filename: str
    upload_id: str
    state: Phase
    size: int
    received_bytes: int
    chunk_size: int | None
    chunk_count: int | None
    missing: tuple[Range, ...]
    created_at: int
    updated_at: int
    expires_at: int | None
    version: int
    etag: str | None = None
    crc32c: int | None = None
    current_file: File | None = None

    @property
    def percent(self) -> float:
        """With one decimal, rounded down: 100.0 means that no byte is missing. An empty file has 0.0 until complete."""
        if not self.size:
            return 100.0 if self.state is Phase.COMPLETE else 0.0
        return self.received_bytes * 1000 // self.size / 10

    @property
    def next_offset(self) -> int:
        """Where the first missing byte is; the size when none is missing."""
        if not self.missing or self.chunk_size is None:
            return self.size
        return (self.missing[0][0] - 1) * self.chunk_size

    @property
    def tag(self) -> str:
        """What differs whenever any of this does: the opaque part of an entity tag."""
        beside = self.current_file.upload_id if self.current_file else ""
        return f"{self.upload_id}.{self.state}.{self.version}.{beside}"


@dataclass(frozen=True, slots=True)
class Look:
    """A status, and what was read for it. `parts` is None where none can have been put straight to S3."""

    status: Status
    file: File | None
    slot: Slot | None
    upload: Upload | None = None
    parts: Mapping[int, StoredPart] | None = None


def status(engine: Engine, ns: str, name: str) -> Status:
    """How far the newest upload of the name is: two reads of the ledger, three in the moment of its completion, and one
    listing where a URL was ever signed.

    Raises:
        NotFound: there is neither an upload nor a file of that name, or there no longer is.
    """
    return look(engine, ns, name).status


def look(engine: Engine, ns: str, name: str) -> Look:
    """As `status`, with what it was told from."""
    file, slot, _ = engine.ledger.look_up(ns, name)
    upload = engine.ledger.upload(slot.upload_id) if slot is not None else None
    if upload is None or upload.session.state is State.COMPLETE:
        if upload is not None and (file is None or file.upload_id != upload.session.upload_id):
            file = engine.ledger.file(ns, name)  # completed between the two reads, or deleted since
        if file is None:
            raise NotFound
        return Look(_of_file(file, upload), file, slot)
    return look_at(engine, slot, upload, file)


def look_at(engine: Engine, slot: Slot | None, upload: Upload, file: File | None) -> Look:
    """At an upload that is not complete, as it was read, beside the name's file."""
    session = upload.session
    if session.state in _ENDED:
        return Look(_of_ended(upload, _ENDED[session.state], session.ended or upload.touched, file), file, slot)
    if is_expired(engine, upload):
        return Look(_of_ended(upload, Phase.EXPIRED, upload.expires_at, file), file, slot)
    if session.state is State.COMPLETING or session.made is not None:
        # Nobody begins to complete before everything is there; and the parts may be an object by now.
        everything = _of_received(upload, _everything(session.grid), session.grid.part_count, file)
        return Look(everything, file, slot, upload)
    parts = landed_parts(engine, upload) if upload.direct else {}
    found = _of_received(upload, received(upload, parts), len(parts), file)
    return Look(found, file, slot, upload, parts if upload.direct else None)


def uploads(engine: Engine, ns: str, cursor: str | None, limit: int) -> Page[Status]:
    """The namespace's uploads in progress.

    Names whose uploads have ended lie between them: a page is looked for over some reads of the ledger, and may then
    hold fewer than `limit`, or none, and still have a cursor.
    """
    from concurrent.futures import ThreadPoolExecutor

    found: list[Status] = []
    for _ in range(_READS_OF_A_PAGE):
        page = engine.ledger.open_slots(ns, cursor, limit - len(found))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            looks = pool.map(lambda slot: _of_slot(engine, slot), page.items)
            found += [progress for progress in looks if progress is not None]
        cursor = page.cursor
        if cursor is None or len(found) >= limit:
            break
    return Page(found, cursor)


def _of_slot(engine: Engine, slot: Slot) -> Status | None:
    """The status of the slot's upload, if it is in progress."""
    upload = engine.ledger.upload(slot.upload_id)
    if upload is None or not upload.session.state.in_progress:
        return None
    progress = look_at(engine, slot, upload, engine.ledger.file(slot.ns, slot.name)).status
    if not progress.state.in_progress:
        return None
    return replace(progress, missing=progress.missing[:MAX_MISSING_LISTED])


def _of_file(file: File, upload: Upload | None) -> Status:
    """A finished file's status; its plan and beginning are those of the upload that made it, while that is known."""
    made_by = upload if upload is not None and upload.session.upload_id == file.upload_id else None
    grid = made_by.session.grid if made_by else None
    return Status(
        filename=file.name,
        upload_id=file.upload_id,
        state=Phase.COMPLETE,
        size=file.size,
        received_bytes=file.size,
        chunk_size=grid.chunk_size if grid else None,
        chunk_count=grid.chunk_count if grid else None,
        missing=(),
        created_at=made_by.session.created if made_by else file.uploaded_at,
        updated_at=file.uploaded_at,
        expires_at=None,
        version=max(file.uploaded_at, made_by.version if made_by else 0),
        etag=file.etag,
        crc32c=file.crc32c,
    )


def _of_received(upload: Upload, got: Received, landed: int, file: File | None) -> Status:
    """An upload in progress; `landed` parts are in S3, which changes no row of the ledger but is news all the same."""
    session, grid = upload.session, upload.session.grid
    completing = session.state is State.COMPLETING
    return Status(
        filename=session.name,
        upload_id=session.upload_id,
        state=Phase.COMPLETING if completing else Phase.PARTIAL if got.bytes else Phase.PENDING,
        size=grid.size,
        received_bytes=got.bytes,
        chunk_size=grid.chunk_size,
        chunk_count=grid.chunk_count,
        missing=_first_gaps(got.chunks, grid.chunk_count),
        created_at=session.created,
        updated_at=upload.touched,
        expires_at=None if completing else upload.expires_at,
        version=upload.version + (landed if upload.direct else 0),
        crc32c=session.crc32c,
        current_file=file,
    )


def _of_ended(upload: Upload, state: Phase, ended: int, file: File | None) -> Status:
    """Not told from the stripes, which the clean-up takes away some time after the end."""
    session, grid = upload.session, upload.session.grid
    return Status(
        filename=session.name,
        upload_id=session.upload_id,
        state=state,
        size=grid.size,
        received_bytes=0,
        chunk_size=grid.chunk_size,
        chunk_count=grid.chunk_count,
        missing=_first_gaps([], grid.chunk_count),
        created_at=session.created,
        updated_at=ended,
        expires_at=ended if state is Phase.EXPIRED else None,
        version=max(ended, upload.version),
        crc32c=session.crc32c,
        current_file=file,
    )


def _everything(grid: Grid) -> Received:
    whole = [(1, grid.chunk_count)] if grid.chunk_count else []
    return Received(whole, [(1, grid.part_count)] if whole else [], grid.size)


def _first_gaps(chunks: Sequence[Range], last: int) -> tuple[Range, ...]:
    """Up to `MAX_MISSING` of the ranges that are missing."""
    return tuple(gap for gap, _ in zip(gaps_in(chunks, last), range(MAX_MISSING), strict=False))
