"""Tell others what has changed: noted in the write that changes it, sent afterwards (docs/decisions/0003).

Whoever makes a change calls `tell` and then clears the note. What could not be sent stays noted, and the clean-up,
which finds the note by its time, does the same.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ferry.errors import BackendUnavailable
from ferry.model.events import Event, EventKind
from ferry.model.files import DeletedFile, File
from ferry.model.uploads import UploadRecord, UploadState
from ferry.rules.durations import MINUTE_MS
from ferry.services import Services

logger = logging.getLogger(__name__)

PUBLISH_GRACE_MS = MINUTE_MS
"""How long whoever made a change has to tell it before somebody else does."""

_END_EVENTS = {
    UploadState.COMPLETE: EventKind.COMPLETED,
    UploadState.EXPIRED: EventKind.EXPIRED,
    UploadState.CANCELLED: EventKind.CANCELLED,
}


def publish_deadline(services: Services) -> int | None:
    """When somebody must look whether a change made now was told; None where nobody is told anything."""
    return None if services.event_publisher is None else services.clock() + PUBLISH_GRACE_MS


def publish(services: Services, events: Sequence[Event]) -> bool:
    """Whether nothing is left to be told. A failure is nobody's but the bus's: the note stays."""
    if services.event_publisher is None or not events:
        return True
    try:
        services.event_publisher.publish(events)
    except BackendUnavailable as error:
        named = ", ".join(event.id for event in events)
        logger.warning("%s stays noted and will be told later: %s", named, error.__cause__ or error)
        return False
    return True


def pending_events(record: UploadRecord) -> list[Event]:
    """What is noted of a session: its start, and its end if it has ended."""
    events = [_upload_event(record, EventKind.STARTED, record.created_at)] if record.event_pending else []
    if record.state in _END_EVENTS:
        events.append(
            _upload_event(record, _END_EVENTS[record.state], record.ended_at or record.created_at, record.file)
        )
    return events


def deletion_event(deleted_file: DeletedFile) -> Event:
    file = deleted_file.file
    return Event(EventKind.DELETED, deleted_file.deleted_at, file.ns, file.name, file.upload_id, file.size, file)


def _upload_event(record: UploadRecord, kind: EventKind, occurred_at: int, file: File | None = None) -> Event:
    size, replaced = record.layout.size, record.replaced_upload_id if file else None
    return Event(kind, occurred_at, record.ns, record.name, record.upload_id, size, file, replaced)
