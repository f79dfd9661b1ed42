"""Tell others what has changed: noted in the write that changes it, sent afterwards (docs/decisions/0003).

Whoever makes a change calls `tell` and then clears the note. What could not be sent stays noted, and the clean-up,
which finds the note by its time, does the same.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ferry.engine import MINUTE, Engine
from ferry.errors import BackendUnavailable
from ferry.model import Deletion, Event, EventKind, File, Session, State

logger = logging.getLogger(__name__)

PATIENCE = MINUTE
"""How long whoever made a change has to tell it before somebody else does."""

_ENDS = {
    State.COMPLETE: EventKind.COMPLETED,
    State.EXPIRED: EventKind.EXPIRED,
    State.CANCELLED: EventKind.CANCELLED,
}


def tell_by(engine: Engine) -> int | None:
    """When somebody must look whether a change made now was told; None where nobody is told anything."""
    return None if engine.events is None else engine.clock() + PATIENCE


def tell(engine: Engine, events: Sequence[Event]) -> bool:
    """Whether nothing is left to be told. A failure is nobody's but the bus's: the note stays."""
    if engine.events is None or not events:
        return True
    try:
        engine.events.publish(events)
    except BackendUnavailable as error:
        named = ", ".join(event.id for event in events)
        logger.warning("%s stays noted and will be told later: %s", named, error.__cause__ or error)
        return False
    return True


def untold(session: Session) -> list[Event]:
    """What is noted of a session: its start, and its end if it has ended."""
    events = [_event(session, EventKind.STARTED, session.created)] if session.untold else []
    if session.state in _ENDS:
        events.append(_event(session, _ENDS[session.state], session.ended or session.created, session.answer))
    return events


def deleted(deletion: Deletion) -> Event:
    file = deletion.file
    return Event(EventKind.DELETED, deletion.at, file.ns, file.name, file.upload_id, file.size, file)


def _event(session: Session, kind: EventKind, time: int, file: File | None = None) -> Event:
    size, replaced = session.grid.size, session.replaced if file else None
    return Event(kind, time, session.ns, session.name, session.upload_id, size, file, replaced)
