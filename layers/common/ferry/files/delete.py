"""Delete a finished file."""

from __future__ import annotations

from contextlib import suppress

from ferry.errors import BackendUnavailable, FileNotFound
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.files import DeletedFile
from ferry.outbox import deletion_event, publish, publish_deadline
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import DAY_MS
from ferry.services import Services

OBJECT_RETENTION_MS = DAY_MS
"""How long the object of a replaced or deleted file is kept, so that running downloads can finish."""


def delete_file(services: Services, ns: str, name: str) -> None:
    """Delete a file. Its name is free at once; its object is deleted after `OBJECT_RETENTION_MS`.

    Raises:
        FileNotFound: the name has no file.
    """
    retry_on_conflict(lambda: _try_delete(services, ns, name))


def _try_delete(services: Services, ns: str, name: str) -> None:
    """Delete once. Raises `ConcurrentUpdate` if the name has another file meanwhile."""
    file = services.upload_repository.get_file(ns, name)
    if file is None:
        raise FileNotFound
    now, event_due_at = services.clock(), publish_deadline(services)
    services.upload_repository.delete_file(
        file, object_due_at=now + OBJECT_RETENTION_MS, now=now, publish_deadline=event_due_at
    )
    if event_due_at is not None:
        task = CleanupTask(CleanupTaskKind.DELETION_EVENT, file.upload_id, event_due_at)
        with suppress(BackendUnavailable):
            publish_deleted(services, DeletedFile(file, now), task)


def publish_deleted(services: Services, deleted_file: DeletedFile, task: CleanupTask) -> bool:
    """Publish a deletion, then delete its task. Return False if the event stays pending."""
    if not publish(services, [deletion_event(deleted_file)]):
        return False
    services.cleanup_repository.delete_task(task)
    return True
