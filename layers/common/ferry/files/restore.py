"""Restore a file that was deleted or replaced (docs/decisions/0011). No byte is copied."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

from ferry.errors import BackendUnavailable, FileNotFound
from ferry.files.dates import date_under_new_name
from ferry.files.free_names import find_free_name
from ferry.files.quotas import check_added_bytes, check_file_size
from ferry.files.target import check_existing, forbids_existing
from ferry.model.events import Event, EventKind
from ferry.model.files import DeletedFile, File, IfExists
from ferry.model.quotas import Quota
from ferry.outbox import pending, publish_file_event
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.retry import retry_on_conflict
from ferry.rules.conditions import Conditions
from ferry.rules.digests import sha256_prefix
from ferry.services import Services


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """A client's request to restore a file."""

    name: str
    """The name that lost the file, in form C."""
    upload_id: str | None = None
    """The upload that made the file; None: the last one that the name lost."""
    new_name: str | None = None
    """The name that the file gets, in form C; None: the one that it had."""
    if_exists: IfExists = IfExists.FAIL
    """What to do when that name has a file."""
    conditions: Conditions = field(default_factory=Conditions)
    """The conditions of the request, about what that name has."""

    @property
    def key(self) -> str:
        """A digest of what is asked for. Requests with the same key are repetitions of one."""
        members = (self.name, self.upload_id or "", self.target, self.if_exists.value, repr(self.conditions))
        return sha256_prefix("\0".join(members).encode()).hex()

    @property
    def target(self) -> str:
        return self.new_name if self.new_name is not None else self.name


def restore_file(services: Services, ns: str, request: RestoreRequest) -> File:
    """Restore a file, and return it under its name. Four calls, one more to find a free name, and two for the event.

    If the name has the file that the same request restored before, that file is returned.

    Raises:
        FileNotFound: there is no such file that can be restored.
        FileExists: the name has a file that may not be replaced.
        PreconditionFailed: a condition does not hold for what the name has (`current_file`).
        QuotaExceeded: the quota of the namespace has no room (`quota`).
        InvalidFilename: the name is taken, and too long for a number.
        BackendUnavailable: a backend failed, or concurrent requests kept changing the name.
    """
    return retry_on_conflict(lambda: _try_restore(services, ns, request), services.sleep)


def _try_restore(services: Services, ns: str, request: RestoreRequest) -> File:
    """Restore once. Raises `ConcurrentUpdate` if the file or the name changes meanwhile."""
    # In this order: a file that the same request restores between the reads is then found under its name.
    deleted_file = services.file_repository.find_deleted_file(ns, request.name, request.upload_id)
    existing, current_upload, quota = services.upload_repository.get_name(ns, request.target)
    if existing is not None and _was_restored_by(existing, request):
        return existing
    if deleted_file is None or deleted_file.restorable_until <= services.clock():
        raise FileNotFound("There is no deleted file with this name that can be restored.")
    may_rename = request.if_exists is IfExists.RENAME and not forbids_existing(request.conditions)
    may_replace = may_rename or request.if_exists is IfExists.REPLACE
    check_existing(services, request.conditions, existing, may_replace=may_replace)
    target = request.target
    if may_rename and (existing is not None or (current_upload is not None and current_upload.in_progress)):
        (target, _), existing = find_free_name(services, ns, target), None
    if quota is not None:
        _check_quota(quota, deleted_file.file, existing)
    return _commit(services, deleted_file, target, existing, quota, restored_by=request.key)


def _was_restored_by(existing: File, request: RestoreRequest) -> bool:
    """Return whether the name has the file that this request restored before."""
    if existing.restored_by is None:
        return False
    return request.key == existing.restored_by or request.upload_id == existing.upload_id


def _check_quota(quota: Quota, file: File, replaced_file: File | None) -> None:
    """Raise `QuotaExceeded` if the restored file would exceed a limit."""
    check_file_size(quota, file.size)
    freed_bytes = 0 if replaced_file is None else replaced_file.counted_bytes
    check_added_bytes(quota, file.size - freed_bytes)


def _commit(
    services: Services,
    deleted_file: DeletedFile,
    target: str,
    replaced_file: File | None,
    quota: Quota | None,
    *,
    restored_by: str,
) -> File:
    """Give the file its name, and publish that."""
    file, now = deleted_file.file, services.clock()
    known_object = services.cleanup_repository.get_object(file.upload_id)
    if known_object is not None and known_object.deleted_at != deleted_file.deleted_at:
        raise ConcurrentUpdate
    restored = _restored_file(file, target, replaced_file, quota, now=now, restored_by=restored_by)
    event = Event.of_file(
        EventKind.RESTORED,
        restored,
        now,
        replaced_upload_id=replaced_file.upload_id if replaced_file is not None else None,
        previous_name=file.name,
    )
    pending_event = pending(services, event)
    services.file_repository.restore_file(
        deleted_file,
        restored,
        replaced_file=replaced_file,
        quota=quota,
        event_is_pending=known_object is not None and known_object.pending_event is not None,
        object_due_at=now + services.deleted_file_retention_ms,
        now=now,
        pending_event=pending_event,
    )
    with suppress(BackendUnavailable):
        publish_file_event(services, pending_event)
    return restored


def _restored_file(
    file: File, target: str, replaced_file: File | None, quota: Quota | None, *, now: int, restored_by: str
) -> File:
    """Return the file as the restore stores it, under its new name."""
    return replace(
        file,
        name=target,
        last_modified_seconds=max(date_under_new_name(now, replaced_file), file.last_modified_seconds),
        revision=file.revision + 1,
        counted_in_quota=quota is not None and quota.tracks_usage,
        moved_from=None,
        restored_by=restored_by,
    )
