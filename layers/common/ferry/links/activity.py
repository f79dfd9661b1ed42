"""Repair the counters of links: reservations that a crash left, and files that were not recorded."""

from __future__ import annotations

from ferry.errors import BackendUnavailable
from ferry.links.events import publish_pending
from ferry.model.cleanup import CleanupTask
from ferry.model.links import LinkUsage, Reservation
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.link_repository import RESERVATION_CHECK_MS
from ferry.rules.durations import HOUR_MS
from ferry.services import Services
from ferry.uploads.record_by_link import record_upload

MIN_RESERVATION_AGE_MS = HOUR_MS
"""A reservation without an upload is released at this age, which no request can reach."""


def reconcile_link(services: Services, task: CleanupTask) -> None:
    """Publish the pending events of a link, and release the reservations that crashed requests have left.

    The task stays due while something is reserved.

    Raises:
        BackendUnavailable: a backend failed.
        ConcurrentUpdate: the task is no longer as read.
    """
    repository = services.link_repository()
    usage = repository.get_usages([task.subject]).get(task.subject, LinkUsage())
    link = repository.get_link(task.subject) if usage.pending_events else None
    if link is not None and not publish_pending(services, link, usage):
        raise BackendUnavailable("An event was not published. It stays pending.")
    is_idle = True
    for upload_id in usage.reservations:
        is_idle = _reconcile_reservation(services, task.subject, usage, upload_id) and is_idle
    if is_idle:
        repository.unschedule_link(task.subject, usage, due_at=task.due_at)
    else:
        services.cleanup_repository.reschedule_task(task, services.clock() + RESERVATION_CHECK_MS)


def _reconcile_reservation(services: Services, link_id: str, usage: LinkUsage, upload_id: str) -> bool:
    """Settle or release a reservation. Return whether it has ended."""
    reservation = usage.reservations[upload_id]
    upload = services.upload_repository.get_upload(upload_id)
    record = None if upload is None else upload.record
    if record is None:
        if services.clock() < reservation.reserved_at + MIN_RESERVATION_AGE_MS:
            return False
    elif record.state is UploadState.COMPLETE and record.file is not None:
        record_upload(services.link_repository(), record, record.file)
        return True
    elif record.state.in_progress:
        _shrink_reservation(services, link_id, upload_id, reservation, record)
        return False
    elif not record.purged:
        return False
    received_bytes = record.sequential.offset if record is not None and record.sequential is not None else 0
    services.link_repository().release_upload(
        link_id, upload_id, received_bytes=received_bytes, has_started=record is not None
    )
    return True


def _shrink_reservation(
    services: Services, link_id: str, upload_id: str, reservation: Reservation, record: UploadRecord
) -> None:
    """Release what an append has reserved and not stored, once its request has passed its timeout."""
    is_settled = services.clock() >= reservation.reserved_at + MIN_RESERVATION_AGE_MS
    if is_settled and reservation.size > record.layout.size:
        services.link_repository().resize_reservation(link_id, upload_id, reservation, record.layout.size)
