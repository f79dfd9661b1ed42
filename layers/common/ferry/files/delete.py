"""Delete a finished file."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ferry.errors import BackendUnavailable, FileNotFound, PreconditionFailed
from ferry.model.events import Event, EventKind
from ferry.model.files import File
from ferry.outbox import pending, publish_file_event
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import SECOND_MS
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
        PreconditionFailed: a condition does not hold for the file.
    """
    retry_on_conflict(lambda: _try_delete(services, ns, name, conditions))


def _try_delete(services: Services, ns: str, name: str, conditions: Conditions | None) -> None:
    """Delete once. Raises `ConcurrentUpdate` if the name has another file meanwhile."""
    file = services.file_repository.get_file(ns, name)
    if file is None:
        raise FileNotFound
    if conditions is not None:
        _check_conditions(services, file, conditions)
    now = services.clock()
    pending_event = pending(services, Event.of_file(EventKind.DELETED, file, now))
    services.file_repository.delete_file(
        file, object_due_at=now + services.deleted_file_retention_ms, now=now, pending_event=pending_event
    )
    with suppress(BackendUnavailable):
        publish_file_event(services, pending_event)


def _check_conditions(services: Services, file: File, conditions: Conditions) -> None:
    """Raise `PreconditionFailed` unless the conditions hold.

    For a method that changes something, a matching If-None-Match fails, and If-Modified-Since counts for nothing (RFC
    9110 sections 13.1.2 and 13.1.3).
    """
    # Imported here: most functions that delete files need no dates of HTTP.
    from dataclasses import replace

    from ferry.files.validators import file_validators
    from ferry.rules.conditions import PreconditionResult, evaluate_preconditions

    applicable = replace(conditions, if_modified_since=None)
    now_seconds = services.clock() // SECOND_MS
    result = evaluate_preconditions(applicable, file_validators(file), now_seconds)
    if result is not PreconditionResult.PROCEED:
        raise PreconditionFailed
