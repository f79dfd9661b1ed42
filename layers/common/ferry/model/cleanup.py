"""Cleanup tasks and the state of the orphan scan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class CleanupTaskKind(StrEnum):
    """Why somebody must look again: a session's time is up, a dead object, a finished upload's stages and rows, a
    deletion that has not been told.
    """

    UPLOAD = "upload"
    OBJECT = "object"
    STAGED_CHUNKS = "staged_chunks"
    DELETION_EVENT = "deletion_event"


@dataclass(frozen=True, slots=True)
class CleanupTask:
    """An entry of the index of things to look at: `subject` is an upload id (an object's name is one too)."""

    kind: CleanupTaskKind
    subject: str
    due_at: int


class OrphanScanPhase(StrEnum):
    """What the search for orphans lists, in this order."""

    MULTIPART_UPLOADS = "multipart_uploads"
    STAGED_CHUNKS = "staged_chunks"
    OBJECTS = "objects"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class OrphanScan:
    """How far the search for orphans has come (docs/decisions/0005): `cursor` in what `phase` lists; this round `began`
    then; `version` counts the pages of all rounds.
    """

    started_at: int
    phase: OrphanScanPhase = OrphanScanPhase.MULTIPART_UPLOADS
    cursor: str | None = None
    version: int = 1
