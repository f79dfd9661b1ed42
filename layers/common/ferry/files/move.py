"""Give a finished file another name (docs/decisions/0011). No byte is copied."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

from ferry.errors import BackendUnavailable, FileNotFound, InvalidField
from ferry.files.conditions import check_change, precondition_failed
from ferry.files.dates import date_under_new_name, wait_until_date_has_passed
from ferry.files.target import check_existing, only_none_match, without_none_match
from ferry.model.events import Event, EventKind
from ferry.model.files import File
from ferry.outbox import pending, publish_file_event
from ferry.ports.retry import retry_on_conflict
from ferry.rules.conditions import Conditions
from ferry.services import Services


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """A client's request to move a file."""

    name: str
    """The name that the file has, in form C."""
    new_name: str
    """The name that it gets, in form C."""
    replace_existing: bool = False
    """Whether it may replace the file of the new name."""
    etag: str | None = None
    """The entity tag of the content, or of the record, that may be moved; None: any."""
    existing_etag: str | None = None
    """The entity tag of the only file that it may replace; None: any."""
    conditions: Conditions = field(default_factory=Conditions)
    """The conditions of the request: about the file, except `If-None-Match`, which is about the new name."""


def move_file(services: Services, ns: str, request: MoveRequest) -> File:
    """Move a file, and return it under its new name. Two calls, and two for the event.

    The move is one transaction: a client that reads the old name and then the new one always finds the file. The upload
    that made the file keeps its record as it was.

    Raises:
        InvalidField: both names are the same.
        FileNotFound: the old name has no file.
        FileExists: the new name has a file that may not be replaced.
        PreconditionFailed: an entity tag or a condition does not hold (`current_file`).
        BackendUnavailable: a backend failed, or concurrent requests kept changing the names.
    """
    if request.name == request.new_name:
        raise InvalidField.for_member("to", "is the name that the file has; send another one")
    return retry_on_conflict(lambda: _try_move(services, ns, request), services.sleep)


def _try_move(services: Services, ns: str, request: MoveRequest) -> File:
    """Move once. Raises `ConcurrentUpdate` if one of the names has another file meanwhile."""
    found = services.file_repository.get_files(ns, (request.name, request.new_name))
    file, existing = found.get(request.name), found.get(request.new_name)
    if file is None:
        return _already_moved(request, existing)
    if request.etag is not None and request.etag not in (file.etag, file.record_etag):
        raise precondition_failed(file)
    check_change(services, without_none_match(request.conditions), file)
    _check_new_name(services, request, existing)
    wait_until_date_has_passed(services, file.last_modified_seconds)
    now = services.clock()
    moved = replace(
        file,
        name=request.new_name,
        last_modified_seconds=date_under_new_name(now, existing),
        revision=file.revision + 1,
        moved_from=request.name,
        restored_by=None,
    )
    event = Event.of_file(
        EventKind.MOVED,
        moved,
        now,
        replaced_upload_id=existing.upload_id if existing is not None else None,
        previous_name=request.name,
    )
    pending_event = pending(services, event)
    services.file_repository.move_file(
        file,
        moved,
        replaced_file=existing,
        object_due_at=now + services.deleted_file_retention_ms,
        now=now,
        pending_event=pending_event,
    )
    with suppress(BackendUnavailable):
        publish_file_event(services, pending_event)
    return moved


def _check_new_name(services: Services, request: MoveRequest, existing: File | None) -> None:
    """Raise an error unless the new name may be given to the file."""
    about_existing = only_none_match(request.conditions)
    may_replace = request.replace_existing or request.existing_etag is not None
    check_existing(services, about_existing, existing, may_replace=may_replace)
    if request.existing_etag is not None and (
        existing is None or request.existing_etag not in (existing.etag, existing.record_etag)
    ):
        raise precondition_failed(existing)


def _already_moved(request: MoveRequest, existing: File | None) -> File:
    """Return the file that this request has moved before, if its entity tag proves it.

    Raises:
        FileNotFound: the old name has no file, and nothing proves that this request moved it.
        PreconditionFailed: the file was moved, and the conditions are about the name that it no longer has.
    """
    if existing is None or existing.moved_from != request.name:
        raise FileNotFound
    if without_none_match(request.conditions) != Conditions(if_modified_since=request.conditions.if_modified_since):
        raise precondition_failed(existing)
    if request.etag is None or not _had_etag(existing, request.etag):
        raise FileNotFound
    return existing


def _had_etag(file: File, etag: str) -> bool:
    """Return whether the entity tag is that of the content, or of an earlier revision of the record."""
    return etag == file.etag or etag.startswith(f'"r.{file.upload_id}.')
