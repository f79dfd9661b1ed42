"""Events about uploads and files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ferry.model.files import File


class EventKind(StrEnum):
    """The types of published events (docs/events.md)."""

    STARTED = "ferry.upload.started"
    COMPLETED = "ferry.upload.completed"
    EXPIRED = "ferry.upload.expired"
    CANCELLED = "ferry.upload.cancelled"
    DELETED = "ferry.file.deleted"


@dataclass(frozen=True, slots=True)
class Event:
    """A committed change of state, as it is published."""

    kind: EventKind
    """What happened."""

    occurred_at: int
    """When it happened, in epoch milliseconds."""

    ns: str
    """The namespace of the upload or file."""

    name: str
    """The filename."""

    upload_id: str
    """The upload, or the upload that created the file."""

    size: int
    """Size of the file in bytes, as declared at start."""

    file: File | None = None
    """The completed or deleted file; None for other kinds."""

    replaced_upload_id: str | None = None
    """For a completion: the upload of the file that was replaced; None if there was none."""

    @property
    def id(self) -> str:
        """Return an id that is the same for every delivery. Each kind occurs at most once for an upload."""
        return f"{self.upload_id}.{self.kind.rpartition('.')[2]}"
