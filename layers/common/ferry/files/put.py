"""Store a whole file in one request (docs/decisions/0011).

Three steps: announce the object as a cleanup task, store the object, then point the name to it in one transaction.
After a crash between two of them the name has its old file, and cleanup deletes the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ferry.errors import BackendUnavailable, PreconditionFailed, QuotaExceeded
from ferry.files.conditions import check_change, precondition_failed
from ferry.files.quotas import check_added_bytes, check_file_size, read_quota
from ferry.model.cleanup import CleanupTask, CleanupTaskKind
from ferry.model.files import DEFAULT_CONTENT_TYPE, CompletionEvent, File
from ferry.model.objects import StoredObject
from ferry.model.quotas import Quota
from ferry.model.uploads import object_key
from ferry.outbox import completion_event, publish, publish_deadline
from ferry.ports.errors import ConcurrentUpdate, NameConflict, UsageConflict
from ferry.ports.retry import retry_on_conflict
from ferry.rules.conditions import Conditions
from ferry.rules.digests import crc32c
from ferry.rules.durations import HOUR_MS, SECOND_MS
from ferry.services import Services

ANNOUNCED_OBJECT_RETENTION_MS = HOUR_MS
"""How long an announced object may wait for its file. Much longer than a function may run."""


@dataclass(frozen=True, slots=True)
class PutRequest:
    """A file to store whole."""

    name: str
    """The filename in form C."""
    body: bytes
    """All bytes of the file."""
    content_type: str = DEFAULT_CONTENT_TYPE
    """The media type."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The client's own names and values, kept with the file."""
    conditions: Conditions = field(default_factory=Conditions)
    """The conditions of the request, about what the name has."""


@dataclass(frozen=True, slots=True)
class PutResult:
    """A stored file."""

    file: File
    """The file."""
    created: bool
    """Whether the name had no file before."""


@dataclass(slots=True)
class _PutAttempt:
    """A request and what it has done so far. It survives a retry after a conflict."""

    ns: str
    """The namespace."""
    request: PutRequest
    """The request."""
    upload_id: str
    """Id of the upload that the file is recorded with, and of its object."""
    announced_due_at: int
    """When cleanup deletes the object unless the file is committed, in epoch milliseconds."""
    crc32c: int
    """CRC32C of the body."""
    quota: Quota | None
    """The quota of the namespace; None without one."""
    existing: File | None
    """The name's file, as far as it is known; None at first.

    The first transaction assumes that the name is new, which saves a read. Otherwise its condition fails, and returns
    the file.
    """
    matched_id: str | None
    """The upload that made the file which If-Match named; None without an entity tag.

    It identifies that file, because another file with the same bytes has the same tag: of requests that name one file
    and race, only one may replace it.
    """

    @property
    def counted_in_quota(self) -> bool:
        return self.quota is not None and self.quota.tracks_usage


def put_file(services: Services, ns: str, request: PutRequest) -> PutResult:
    """Store a file, or replace the one that the name has. It is durable when this returns.

    One call to the object store and three to the metadata store for a new name, four for one that has a file.

    Raises:
        PreconditionFailed: the conditions do not hold for what the name has (`current_file`).
        QuotaExceeded: the quota of the namespace has no room (`quota`).
        BackendUnavailable: a backend failed, or concurrent requests kept changing the name. The file may be stored.
    """
    existing = None
    if request.conditions.if_match is not None:
        existing = services.file_repository.get_file(ns, request.name)
        check_change(services, request.conditions, existing)
    quota = read_quota(services, ns)
    if quota is not None:
        check_file_size(quota, len(request.body))
    due_at = services.clock() + ANNOUNCED_OBJECT_RETENTION_MS
    names_tag = request.conditions.if_match not in (None, "*")
    matched_id = existing.upload_id if existing is not None and names_tag else None
    attempt = _PutAttempt(ns, request, services.new_id(), due_at, crc32c(request.body), quota, existing, matched_id)
    services.file_repository.announce_object(attempt.upload_id, (ns, request.name), due_at=due_at)
    stored_object = services.object_store.put(
        object_key(attempt.upload_id), request.body, crc32c=attempt.crc32c, content_type=request.content_type
    )
    try:
        file = retry_on_conflict(lambda: _try_commit(services, attempt, stored_object), services.sleep)
    except (PreconditionFailed, QuotaExceeded):
        _discard_object(services, attempt)
        raise
    _publish_completed(services, file, attempt.existing)
    return PutResult(file, created=attempt.existing is None)


def _try_commit(services: Services, attempt: _PutAttempt, stored_object: StoredObject) -> File:
    """Point the name to the object once. Raises `ConcurrentUpdate` if the name or the usage is not as expected."""
    check_change(services, attempt.request.conditions, attempt.existing)
    if attempt.matched_id is not None and (
        attempt.existing is None or attempt.existing.upload_id != attempt.matched_id
    ):
        raise precondition_failed(attempt.existing)
    file = _new_file(attempt, stored_object, now=services.clock())
    try:
        services.file_repository.put_file(
            file,
            replaced_file=attempt.existing,
            quota=attempt.quota,
            announced_due_at=attempt.announced_due_at,
            object_due_at=file.uploaded_at + services.deleted_file_retention_ms,
            publish_deadline=publish_deadline(services),
        )
    except NameConflict as conflict:
        attempt.existing = conflict.file
        raise
    except UsageConflict:
        attempt.quota = read_quota(services, attempt.ns, fresh=True)
        if attempt.quota is not None:
            freed_bytes = 0 if attempt.existing is None else attempt.existing.counted_bytes
            check_added_bytes(attempt.quota, file.size - freed_bytes)
        raise
    return file


def _new_file(attempt: _PutAttempt, stored_object: StoredObject, *, now: int) -> File:
    request, existing = attempt.request, attempt.existing
    last_modified_seconds = now // SECOND_MS
    if existing is not None:
        last_modified_seconds = max(last_modified_seconds, existing.last_modified_seconds + 1)
    return File(
        ns=attempt.ns,
        name=request.name,
        upload_id=attempt.upload_id,
        size=len(request.body),
        etag=stored_object.etag,
        crc32c=attempt.crc32c,
        content_type=request.content_type,
        metadata=request.metadata,
        fingerprint=None,
        uploaded_at=now,
        last_modified_seconds=last_modified_seconds,
        object_date_seconds=None,
        counted_in_quota=attempt.counted_in_quota,
    )


def _discard_object(services: Services, attempt: _PutAttempt) -> None:
    """Delete the object of a rejected request. If that fails, cleanup deletes it."""
    task = CleanupTask(CleanupTaskKind.OBJECT, attempt.upload_id, attempt.announced_due_at)
    with suppress(BackendUnavailable):
        services.object_store.delete(object_key(attempt.upload_id))
        services.cleanup_repository.delete_task(task)


def _publish_completed(services: Services, file: File, replaced_file: File | None) -> None:
    """Publish the completion. If that fails, the event stays pending and cleanup publishes it."""
    if services.event_publisher is None:
        return
    event = CompletionEvent(file, replaced_file.upload_id if replaced_file else None)
    if publish(services, [completion_event(event)]):
        with suppress(ConcurrentUpdate, BackendUnavailable):
            services.file_repository.clear_completion_event(file.upload_id)
