"""Delete a finished file."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ferry.errors import BackendUnavailable, FileNotFound
from ferry.files.dates import wait_until_date_has_passed
from ferry.model.events import Event, EventKind, PendingEvent
from ferry.model.files import File
from ferry.outbox import pending, publish_file_event
from ferry.ports.retry import retry_on_conflict
from ferry.services import Services

if TYPE_CHECKING:
    from ferry.rules.conditions import Conditions


def delete_file(services: Services, ns: str, name: str, conditions: Conditions | None = None) -> None:
    """Delete a file. Its name is free at once; it can be restored for the retention of deleted files.

    Args:
        services: the backends.
        ns: the namespace.
        name: the filename in form C.
        conditions: the preconditions of the request; None for none.

    Raises:
        FileNotFound: the name has no file.
        PreconditionFailed: a condition does not hold for the file (`current_file`).
    """
    retry_on_conflict(lambda: _try_delete(services, ns, name, conditions), services.sleep)


def _try_delete(services: Services, ns: str, name: str, conditions: Conditions | None) -> None:
    """Delete once. Raises `ConcurrentUpdate` if the name has another file meanwhile."""
    file = services.file_repository.get_file(ns, name)
    if file is None:
        raise FileNotFound
    if conditions is not None:
        # Imported here: most functions that delete files need no dates of HTTP.
        from ferry.files.conditions import check_change

        check_change(services, conditions, file)
    pending_event = take_name_away(services, file)
    with suppress(BackendUnavailable):
        publish_file_event(services, pending_event)


def take_name_away(services: Services, file: File) -> PendingEvent | None:
    """Delete a file as it was read, and return the event that is then to be published; None: events are disabled.

    It waits until the date of the file has passed, so that the date of the name's next file is not earlier.

    Raises:
        ConcurrentUpdate: the name has another file or none.
    """
    wait_until_date_has_passed(services, file.last_modified_seconds)
    now = services.clock()
    pending_event = pending(services, Event.of_file(EventKind.DELETED, file, now))
    services.file_repository.delete_file(
        file, object_due_at=now + services.deleted_file_retention_ms, now=now, pending_event=pending_event
    )
    return pending_event
