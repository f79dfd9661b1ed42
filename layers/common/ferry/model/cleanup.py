"""Cleanup tasks and the state of the orphan scan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CleanupTaskKind(StrEnum):
    """What a cleanup task checks when it is due."""

    UPLOAD = "upload"
    """An upload record: expiry, an expired lease, pending events, or storage that is still to be deleted."""

    OBJECT = "object"
    """An object that no file refers to: of a replaced or deleted file, of an expired upload, or an orphan."""

    STAGED_CHUNKS = "staged_chunks"
    """The staged chunks, progress shards and chunk digests of an ended upload."""

    FILE_EVENT = "file_event"
    """The pending event of a file that was deleted, moved or restored."""

    LINK = "link"
    """The counters of a link: its pending events, and reservations that crashed requests have left."""


@dataclass(frozen=True, slots=True)
class CleanupTask:
    """A row that is due for cleanup at a certain time."""

    kind: CleanupTaskKind
    """What to check."""

    subject: str
    """The upload id. An object has the id of the upload that created it; a FILE_EVENT has the id of the event, and a
    LINK that of the link."""

    due_at: int
    """When it is due, in epoch milliseconds. A write that handles the task is conditional on this time."""


class OrphanScanPhase(StrEnum):
    """What the orphan scan lists. The phases follow one another in this order."""

    MULTIPART_UPLOADS = "multipart_uploads"
    """Multipart uploads in progress."""

    STAGED_CHUNKS = "staged_chunks"
    """Staged chunks, by upload."""

    OBJECTS = "objects"
    """Objects of files."""

    DONE = "done"
    """Nothing: the scan waits until the next one is due."""


@dataclass(frozen=True, slots=True)
class OrphanScan:
    """How far the orphan scan has come (docs/decisions/0005)."""

    started_at: int
    """When this scan started, in epoch milliseconds."""

    phase: OrphanScanPhase = OrphanScanPhase.MULTIPART_UPLOADS
    """What it lists now."""

    cursor: str | None = None
    """Where the listing of `phase` continues; None: at its beginning."""

    version: int = 1
    """Number of saved pages, over all scans. Saving is conditional on the version before."""
