"""Delete a finished file."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ferry.errors import BackendUnavailable, FileNotFound, PreconditionFailed
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.files import DeletedFile, File
from ferry.outbox import deletion_event, publish, publish_deadline
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import DAY_MS, SECOND_MS
from ferry.services import Services

if TYPE_CHECKING:
    from ferry.rules.conditions import Conditions

OBJECT_RETENTION_MS = DAY_MS
"""How long the object of a replaced or deleted file is kept, so that running downloads can finish."""


def delete_file(services: Services, ns: str, name: str, conditions: Conditions | None = None) -> None:
    """Delete a file. Its name is free at once; its object is deleted after `OBJECT_RETENTION_MS`.

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
    now, event_due_at = services.clock(), publish_deadline(services)
    services.file_repository.delete_file(
        file, object_due_at=now + OBJECT_RETENTION_MS, now=now, publish_deadline=event_due_at
    )
    if event_due_at is not None:
        task = CleanupTask(CleanupTaskKind.DELETION_EVENT, file.upload_id, event_due_at)
        with suppress(BackendUnavailable):
            publish_deleted(services, DeletedFile(file, now), task)


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


def publish_deleted(services: Services, deleted_file: DeletedFile, task: CleanupTask) -> bool:
    """Publish a deletion, then delete its task. Return False if the event stays pending."""
    if not publish(services, [deletion_event(deleted_file)]):
        return False
    services.cleanup_repository.delete_task(task)
    return True
