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
"""How long the object of a replaced or deleted file stays, for downloads that have begun."""


def delete_file(services: Services, ns: str, name: str) -> None:
    """Remove the file; its bytes go a day later.

    Raises:
        FileNotFound: it is not there (any more).
    """

    def attempt() -> None:
        file = services.upload_repository.get_file(ns, name)
        if file is None:
            raise FileNotFound
        now, noted = services.clock(), publish_deadline(services)
        services.upload_repository.delete_file(
            file, object_due_at=now + OBJECT_RETENTION_MS, now=now, publish_deadline=noted
        )
        if noted is not None:
            with suppress(BackendUnavailable):
                publish_deleted(
                    services, DeletedFile(file, now), CleanupTask(CleanupTaskKind.DELETION_EVENT, file.upload_id, noted)
                )

    retry_on_conflict(attempt)


def publish_deleted(services: Services, deletion: DeletedFile, task: CleanupTask) -> bool:
    """Tell it, and drop the note; whether that could be done."""
    if not publish(services, [deletion_event(deletion)]):
        return False
    services.cleanup_repository.delete_task(task)
    return True
