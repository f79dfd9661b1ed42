"""Events about uploads and files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ferry.model.files import File


class EventKind(StrEnum):
    """What others are told of (docs/events.md)."""

    STARTED = "ferry.upload.started"
    COMPLETED = "ferry.upload.completed"
    EXPIRED = "ferry.upload.expired"
    CANCELLED = "ferry.upload.cancelled"
    DELETED = "ferry.file.deleted"


@dataclass(frozen=True, slots=True)
class Event:
    """A change of state, told to whoever has asked for it. `file` is the file that came or went, if one did;
    `replaced` the upload whose file it replaced.
    """

    kind: EventKind
    occurred_at: int
    ns: str
    name: str
    upload_id: str
    size: int
    file: File | None = None
    replaced_upload_id: str | None = None

    @property
    def id(self) -> str:
        """The same whenever this event is sent again: each kind happens once at most in the life of an upload."""
        return f"{self.upload_id}.{self.kind.rpartition('.')[2]}"
