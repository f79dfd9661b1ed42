"""The events of links: `ferry.link.created` and `ferry.link.used_up` (docs/decisions/0003)."""

from __future__ import annotations

import logging
from contextlib import suppress

from ferry.errors import BackendUnavailable
from ferry.model.events import Event, EventKind
from ferry.model.links import CREATED_EVENT, USED_UP_EVENT, Link, LinkKind, LinkUsage
from ferry.outbox import publish, publish_deadline
from ferry.ports.link_repository import UsedUpEvent
from ferry.services import Services

logger = logging.getLogger(__name__)


def used_up_event(services: Services) -> UsedUpEvent | None:
    """Return the event that becomes pending with the write that uses up a link; None if events are disabled."""
    deadline = publish_deadline(services)
    return None if deadline is None else UsedUpEvent(services.clock(), deadline)


def publish_created(services: Services, link: Link, deadline: int | None) -> None:
    """Publish the creation of a link, which is in the outbox until the deadline. If that fails, it stays there."""
    if deadline is not None:
        with suppress(BackendUnavailable):
            publish_pending(services, link, LinkUsage(pending_events=frozenset({CREATED_EVENT})), due_at=deadline)


def publish_used_up(services: Services, link: Link, usage: LinkUsage, event: UsedUpEvent | None) -> None:
    """Publish that a link is used up, if the write of this request made it so. If that fails, it stays pending."""
    if event is None or USED_UP_EVENT not in usage.pending_events or usage.used_up_at != event.occurred_at:
        return
    own = LinkUsage(used_up_at=usage.used_up_at, pending_events=frozenset({USED_UP_EVENT}))
    due_at = event.publish_deadline if link.kind is LinkKind.DOWNLOAD else None
    with suppress(BackendUnavailable):
        publish_pending(services, link, own, due_at=due_at)


def publish_pending(services: Services, link: Link, usage: LinkUsage, *, due_at: int | None = None) -> bool:
    """Publish the pending events of a link and clear them. Return False if one stays pending.

    Args:
        services: the backends.
        link: the link.
        usage: its counters.
        due_at: as for `LinkRepository.clear_link_event`.

    Raises:
        BackendUnavailable: an event was published, and could not be cleared.
    """
    times = {
        CREATED_EVENT: (EventKind.LINK_CREATED, link.created_at),
        USED_UP_EVENT: (EventKind.LINK_USED_UP, usage.used_up_at or link.created_at),
    }
    for name in sorted(usage.pending_events & times.keys()):
        kind, occurred_at = times[name]
        if not publish(services, [Event.of_link(kind, link, occurred_at)]):
            return False
        services.link_repository().clear_link_event(link.link_id, name, due_at=due_at)
    return True
