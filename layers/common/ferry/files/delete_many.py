"""Delete up to a hundred finished files in one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from ferry.errors import BackendUnavailable, FerryError, FileNotFound
from ferry.files.conditions import precondition_failed
from ferry.files.dates import wait_until_date_has_passed
from ferry.files.delete import take_name_away
from ferry.model.events import PendingEvent
from ferry.model.files import File
from ferry.outbox import publish_file_events
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.retry import retry_on_conflict
from ferry.rules.durations import SECOND_MS
from ferry.rules.filenames import normalize_filename
from ferry.services import Services

DELETE_MANY_BUDGET_MS = 15 * SECOND_MS
"""How long one request deletes. The names that are left are reported as errors."""


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """A name to delete."""

    name: str
    """The name as the client sent it."""
    etag: str | None = None
    """The entity tag of the content, or of the record, that may be deleted; None: any."""


@dataclass(slots=True)
class DeleteResults:
    """What became of each name, in the order of the request."""

    deleted: list[str] = field(default_factory=list)
    """Names whose file was deleted."""
    missing: list[str] = field(default_factory=list)
    """Names without a file."""
    errors: list[tuple[str, str]] = field(default_factory=list)
    """Names, as sent, whose file was not deleted, each with the code of the error."""


def delete_files(services: Services, ns: str, entries: Iterable[DeleteEntry]) -> DeleteResults:
    """Delete files, each on its own. A name that is sent twice counts once, under all of its entity tags.

    One call for the files, one for each of them, one for each ten events, and one for each 25 entries of the outbox.

    Raises:
        BackendUnavailable: the files could not be read. Nothing was deleted.
    """
    results = DeleteResults()
    etags_by_name = _collect(entries, results)
    files = services.file_repository.get_files(ns, etags_by_name)
    # One wait for all of them, instead of one for each.
    wait_until_date_has_passed(services, max((file.last_modified_seconds for file in files.values()), default=0))
    deadline = services.clock() + DELETE_MANY_BUDGET_MS
    pending_events: list[PendingEvent] = []
    failure: BackendUnavailable | None = None
    for name, etags in etags_by_name.items():
        if failure is None and services.clock() >= deadline:
            failure = BackendUnavailable()
        if failure is not None:
            results.errors.append((name, failure.code))
            continue
        try:
            pending_event = _delete(services, ns, name, files.get(name), etags)
        except FileNotFound:
            results.missing.append(name)
        except BackendUnavailable as error:
            failure = error
            results.errors.append((name, error.code))
        except FerryError as error:
            results.errors.append((name, error.code))
        else:
            results.deleted.append(name)
            pending_events += [pending_event] if pending_event is not None else []
    with suppress(BackendUnavailable):
        publish_file_events(services, pending_events)
    return results


def _collect(entries: Iterable[DeleteEntry], results: DeleteResults) -> Mapping[str, set[str]]:
    """Return the entity tags that each name was sent with, in order. Names that are not valid are errors."""
    etags_by_name: dict[str, set[str]] = {}
    for entry in entries:
        try:
            etags = etags_by_name.setdefault(normalize_filename(entry.name), set())
        except FerryError as error:
            if (entry.name, error.code) not in results.errors:
                results.errors.append((entry.name, error.code))
            continue
        if entry.etag is not None:
            etags.add(entry.etag)
    return etags_by_name


def _delete(services: Services, ns: str, name: str, file: File | None, etags: set[str]) -> PendingEvent | None:
    """Delete one file, read again if it changes meanwhile, and return its event.

    Raises:
        FileNotFound: the name has no file.
        PreconditionFailed: the file has another entity tag.
    """
    if file is None:
        raise FileNotFound
    try:
        return _delete_if_matching(services, file, etags)
    except ConcurrentUpdate:
        return retry_on_conflict(lambda: _read_and_delete(services, ns, name, etags), services.sleep)


def _read_and_delete(services: Services, ns: str, name: str, etags: set[str]) -> PendingEvent | None:
    file = services.file_repository.get_file(ns, name)
    if file is None:
        raise FileNotFound
    return _delete_if_matching(services, file, etags)


def _delete_if_matching(services: Services, file: File, etags: set[str]) -> PendingEvent | None:
    if not etags <= {file.etag, file.record_etag}:
        raise precondition_failed(file)
    return take_name_away(services, file)
