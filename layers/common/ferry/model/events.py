"""Events about uploads and files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ferry.model.cleanup import CleanupTask, CleanupTaskKind

if TYPE_CHECKING:
    from ferry.model.files import File
    from ferry.model.links import Link


class EventKind(StrEnum):
    """The types of published events (docs/events.md)."""

    STARTED = "ferry.upload.started"
    """An upload was opened."""
    COMPLETED = "ferry.upload.completed"
    """A file was committed."""
    EXPIRED = "ferry.upload.expired"
    """An upload expired."""
    CANCELLED = "ferry.upload.cancelled"
    """An upload was cancelled."""
    DELETED = "ferry.file.deleted"
    """A file was deleted."""
    MOVED = "ferry.file.moved"
    """A file got another name."""
    RESTORED = "ferry.file.restored"
    """A deleted or replaced file was restored."""
    LINK_CREATED = "ferry.link.created"
    """A link was created."""
    LINK_USED_UP = "ferry.link.used_up"
    """Nothing is left of the limits of a link."""


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
    """The completed, deleted, moved or restored file; None for other kinds."""

    replaced_upload_id: str | None = None
    """The upload of the file that was replaced; None if there was none."""

    previous_name: str | None = None
    """For a move or a restore: the name that the file had; None for other kinds."""

    link_id: str | None = None
    """The link that the upload came by, or that the event is about; None: neither."""

    link: Link | None = None
    """The link that the event is about; None: it is about an upload or a file."""

    @classmethod
    def of_link(cls, kind: EventKind, link: Link, occurred_at: int) -> Event:
        """Return the event of a link. Its name is the file or the folder of the link."""
        name = link.filename or link.prefix or ""
        return cls(kind, occurred_at, link.ns, name, "", 0, link_id=link.link_id, link=link)

    @classmethod
    def of_file(
        cls,
        kind: EventKind,
        file: File,
        occurred_at: int,
        *,
        replaced_upload_id: str | None = None,
        previous_name: str | None = None,
    ) -> Event:
        """Return the event of a file that was deleted, or that is as it is after a move or a restore."""
        return cls(
            kind, occurred_at, file.ns, file.name, file.upload_id, file.size, file, replaced_upload_id, previous_name
        )

    @property
    def id(self) -> str:
        """Return an id that is the same for every delivery.

        Each kind occurs at most once for a link, for an upload and for a revision of its file. The first revision is
        left out.
        """
        if self.link is not None:
            return f"{self.link.link_id}.{self.kind.rpartition('.')[2]}"
        revision = f".{self.file.revision}" if self.file is not None and self.file.revision > 1 else ""
        return f"{self.upload_id}{revision}.{self.kind.rpartition('.')[2]}"


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event of a file that the write which changes the file stores in the outbox."""

    event: Event
    """The event."""

    publish_deadline: int
    """When cleanup publishes it, in epoch milliseconds."""

    @property
    def task(self) -> CleanupTask:
        """Return the cleanup task that publishes it."""
        return CleanupTask(CleanupTaskKind.FILE_EVENT, self.event.id, self.publish_deadline)
