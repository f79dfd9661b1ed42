"""Sessions, files and uploads for the ledger's suite to begin with."""

from __future__ import annotations

from dataclasses import replace

from ferry.grid import KIB, MIB, Grid
from ferry.model import File, Session, State, Upload
from ferry.ports import Ledger
from tests.fakes.clock import START

NS = "ns"
NAME = "a name.bin"
IDLE = 86_400_000
MAX_AGE = 7 * IDLE
TTL = START // 1000 + 86_400
LATER = 10**14
"""A deadline that does not come."""
ID, OTHER, THIRD = (letter * 32 for letter in "abc")
SMALL = Grid.plan(20 * MIB)
"""Five chunks of 4 MiB in three parts; one stripe."""
STRIPED = Grid.plan(3 * 3_072 * 64 * KIB, 64 * KIB)
"""9,216 chunks of 64 KiB in 72 parts; three stripes."""
LARGEST = Grid.plan(90 * 3_072 * 64 * KIB, 64 * KIB)
"""As many stripes as there can be: 90."""


def session_of(upload_id: str = ID, *, ns: str = NS, name: str = NAME, grid: Grid = SMALL) -> Session:
    """A session as start makes it."""
    return Session(
        upload_id=upload_id,
        ns=ns,
        name=name,
        grid=grid,
        state=State.CREATING,
        created=START,
        idle=IDLE,
        max_age=MAX_AGE,
        content_type="text/plain",
        version=START,
    )


def file_of(upload_id: str = ID, *, ns: str = NS, name: str = NAME) -> File:
    return File(
        ns=ns,
        name=name,
        upload_id=upload_id,
        size=20 * MIB,
        etag='"0123-3"',
        crc32c=0xDEADBEEF,
        content_type="text/plain",
        metadata={"colour": "grün", "empty": ""},
        fingerprint=None,
        uploaded_at=START + 5,
        last_modified=START // 1000,
    )


def seen(ledger: Ledger, upload_id: str = ID) -> Upload:
    """The upload as it stands, which must be there."""
    upload = ledger.upload(upload_id)
    assert upload is not None
    return upload


def begun(ledger: Ledger, upload_id: str = ID, *, name: str = NAME, grid: Grid = SMALL) -> Upload:
    """A session that has not been opened."""
    over = ledger.slot(NS, name)
    ledger.begin(session_of(upload_id, name=name, grid=grid), over=over, due=START + 1)
    return seen(ledger, upload_id)


def opened(ledger: Ledger, upload_id: str = ID, *, name: str = NAME, grid: Grid = SMALL) -> Upload:
    begun(ledger, upload_id, name=name, grid=grid)
    ledger.opened(upload_id, "multipart", due=START + IDLE)
    return seen(ledger, upload_id)


def leased(ledger: Ledger, upload_id: str = ID, *, name: str = NAME, grid: Grid = SMALL) -> Upload:
    """Completing, by the attempt `mine`, until `START + 60_000`."""
    take(ledger, opened(ledger, upload_id, name=name, grid=grid))
    return seen(ledger, upload_id)


def take(
    ledger: Ledger, upload: Upload, attempt: str = "mine", now: int = START + 10, after: str | None = None
) -> Upload:
    return ledger.lease(upload, attempt=attempt, until=START + 60_000, now=now, replace=True, crc32c=7, after=after)


def finished(ledger: Ledger, upload_id: str = ID, *, name: str = NAME) -> File:
    """A complete upload, and the file it made."""
    session = leased(ledger, upload_id, name=name).session
    file = file_of(upload_id, name=name)
    over = ledger.file(NS, name)
    ledger.finish(session, file, over=over, stages_due=START + 20, object_due=START + 30, ttl=TTL)
    return file


def record(ledger: Ledger, upload: Upload, index: int, *, only_chunks: bool = False, now: int = START + 100) -> None:
    """Record a chunk as one who has read `upload`."""
    grid, stripe = upload.session.grid, upload.stripe_of(index)
    ledger.record(
        upload.session.upload_id,
        stripe,
        grid.bit_of_chunk(index),
        grid.length_of_chunk(index),
        only_chunks=only_chunks,
        now=now,
    )


def without_versions(upload: Upload) -> Upload:
    """For comparing what else changed."""
    return replace(upload, session=replace(upload.session, version=0))
