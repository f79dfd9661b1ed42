"""The outbox of events (docs/decisions/0003).

The write that changes a state also marks its event as pending. The request then publishes the event and clears the
mark. If it fails in between, cleanup publishes the event at the deadline, so every event is published at least once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ferry.errors import BackendUnavailable
from ferry.model.events import Event, EventKind, PendingEvent
from ferry.model.uploads import UploadRecord, UploadState
from ferry.rules.durations import MINUTE_MS

if TYPE_CHECKING:
    from ferry.model.files import CompletionEvent, File
    from ferry.services import Services

logger = logging.getLogger(__name__)

PUBLISH_GRACE_MS = MINUTE_MS
"""How long the request has to publish its event before cleanup does."""

MAX_EVENTS_PER_CALL = 10
"""Events of one call at most, as `EventPublisher.publish` takes them."""

_END_EVENTS = {
    UploadState.COMPLETE: EventKind.COMPLETED,
    UploadState.EXPIRED: EventKind.EXPIRED,
    UploadState.CANCELLED: EventKind.CANCELLED,
}


def publish_deadline(services: Services) -> int | None:
    """Return when cleanup publishes an event that becomes pending now (epoch ms); None if events are disabled."""
    return None if services.event_publisher is None else services.clock() + PUBLISH_GRACE_MS


def publish(services: Services, events: Sequence[Event]) -> bool:
    """Publish pending events. Return False on failure: they stay pending and are retried by cleanup."""
    if services.event_publisher is None or not events:
        return True
    try:
        services.event_publisher.publish(events)
    except BackendUnavailable as error:
        ids = ", ".join(event.id for event in events)
        logger.warning("events stay pending and are retried: %s: %s", ids, error.__cause__ or error)
        return False
    return True


def pending_events(record: UploadRecord) -> list[Event]:
    """Return the unpublished events of an upload: its start if pending, and its end if it has ended.

    A partial upload has none.
    """
    if record.is_partial:
        return []
    events = [_upload_event(record, EventKind.STARTED, record.created_at)] if record.event_pending else []
    if record.state in _END_EVENTS:
        ended_at = record.ended_at or record.created_at
        events.append(_upload_event(record, _END_EVENTS[record.state], ended_at, record.file))
    return events


def pending(services: Services, event: Event) -> PendingEvent | None:
    """Return the event of a file as the write that changes the file stores it; None if events are disabled."""
    deadline = publish_deadline(services)
    return None if deadline is None else PendingEvent(event, deadline)


def publish_file_event(services: Services, pending_event: PendingEvent | None) -> bool:
    """Publish an event that is in the outbox, then delete it there. Return False if it stays pending."""
    if pending_event is None:
        return True
    if not publish(services, [pending_event.event]):
        return False
    services.cleanup_repository.delete_task(pending_event.task)
    return True


def publish_file_events(services: Services, pending_events: Sequence[PendingEvent]) -> None:
    """Publish events that are in the outbox, up to ten in a call, then delete them there. What fails stays pending."""
    published: list[PendingEvent] = []
    for first in range(0, len(pending_events), MAX_EVENTS_PER_CALL):
        batch = pending_events[first : first + MAX_EVENTS_PER_CALL]
        if not publish(services, [each.event for each in batch]):
            break
        published += batch
    if published:
        services.cleanup_repository.delete_tasks([each.task for each in published])


def completion_event(completion: CompletionEvent) -> Event:
    """Return the event of a file that one request stored whole."""
    file = completion.file
    return Event.of_file(EventKind.COMPLETED, file, file.uploaded_at, replaced_upload_id=completion.replaced_upload_id)


def _upload_event(record: UploadRecord, kind: EventKind, occurred_at: int, file: File | None = None) -> Event:
    size, replaced = record.layout.size, record.replaced_upload_id if file else None
    name = record.name if file is None else file.name
    return Event(kind, occurred_at, record.ns, name, record.upload_id, size, file, replaced, link_id=record.link_id)
