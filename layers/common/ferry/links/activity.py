"""What is recorded of uploads by a link, and of reservations that a crash left."""

from __future__ import annotations

from ferry.model.cleanup import CleanupTask
from ferry.model.files import File
from ferry.model.links import Activity, ActivityAction, LinkUsage
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.link_repository import RESERVATION_CHECK_MS, LinkRepository
from ferry.rules.durations import HOUR_MS
from ferry.rules.networks import UNKNOWN_NETWORK
from ferry.services import Services

MIN_RESERVATION_AGE_MS = HOUR_MS
"""A reservation without an upload is given back from this age on: longer than a request can live."""


def record_upload(repository: LinkRepository, record: UploadRecord, file: File) -> None:
    """Record a file that came by a link, then turn its reservation into a file. Repeating it changes nothing."""
    if record.link_id is None:
        return
    activity = Activity(
        file.uploaded_at,
        ActivityAction.UPLOAD,
        record.link_network or UNKNOWN_NETWORK,
        record.upload_id,
        filename=file.name,
        size=file.size,
    )
    repository.add_activity(record.link_id, activity)
    repository.settle_upload(record.link_id, record.upload_id, size=record.layout.size)


def reconcile_link(services: Services, task: CleanupTask) -> None:
    """Give back what crashed requests reserved of a link's limits, and look again while something is reserved.

    Raises:
        BackendUnavailable: a backend failed.
        ConcurrentUpdate: the task is no longer as read.
    """
    repository = services.link_repository()
    usage = repository.get_usages([task.subject]).get(task.subject, LinkUsage())
    is_idle = True
    for upload_id in usage.reservations:
        is_idle = _reconcile_reservation(services, task.subject, usage, upload_id) and is_idle
    if is_idle:
        repository.unschedule_link(task.subject, usage, due_at=task.due_at)
    else:
        services.cleanup_repository.reschedule_task(task, services.clock() + RESERVATION_CHECK_MS)


def _reconcile_reservation(services: Services, link_id: str, usage: LinkUsage, upload_id: str) -> bool:
    """Settle or give back a reservation. Return whether it has ended."""
    reservation = usage.reservations[upload_id]
    upload = services.upload_repository.get_upload(upload_id)
    record = None if upload is None else upload.record
    if record is None:
        if services.clock() < reservation.reserved_at + MIN_RESERVATION_AGE_MS:
            return False
    elif record.state is UploadState.COMPLETE and record.file is not None:
        record_upload(services.link_repository(), record, record.file)
        return True
    elif record.state.in_progress or not record.purged:
        return False
    services.link_repository().release_upload(link_id, upload_id, size=reservation.size, received_bytes=0)
    return True
