"""The record of a finished file: read it, and change what the client may change of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ferry.errors import FileNotFound, InvalidField
from ferry.files.conditions import check_change
from ferry.model.files import File
from ferry.ports.retry import retry_on_conflict
from ferry.rules.conditions import Conditions, PreconditionResult, Validators, evaluate_preconditions
from ferry.rules.durations import SECOND_MS
from ferry.rules.metadata import metadata_problem
from ferry.services import Services


@dataclass(frozen=True, slots=True)
class RecordResult:
    """The record of a file."""

    file: File
    """The file."""
    not_modified: bool
    """Whether the client has this record already."""


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a request changes of a file's record, as a merge patch says it (RFC 7396)."""

    content_type: str | None = None
    """The new media type; None: unchanged."""
    metadata: Mapping[str, str | None] = field(default_factory=dict)
    """Values to set by their names; None removes a name."""
    clears_metadata: bool = False
    """Whether all names are removed first."""

    def apply(self, file: File) -> File:
        """Return the changed file, with the next revision. Raises `InvalidField` if its metadata is not valid."""
        merged = {**({} if self.clears_metadata else file.metadata), **self.metadata}
        metadata = {name: value for name, value in merged.items() if value is not None}
        problem = metadata_problem(metadata)
        if problem is not None:
            raise InvalidField.for_member("metadata", f"{problem}; so would that of the file after this change")
        return replace(
            file,
            content_type=self.content_type or file.content_type,
            metadata=metadata,
            revision=file.revision + 1,
        )


def get_record(services: Services, ns: str, name: str, conditions: Conditions) -> RecordResult:
    """Return the record of a file. One call.

    `If-None-Match` compares the record's entity tag; `If-Match` takes that or the content's. `If-Modified-Since` has no
    effect, because a record changes without a new date.

    Raises:
        FileNotFound: the name has no file.
        PreconditionFailed: If-Match or If-Unmodified-Since does not hold.
    """
    file = services.file_repository.get_file(ns, name)
    if file is None:
        raise FileNotFound
    check_change(services, replace(conditions, if_none_match=None), file)
    record = Validators(file.record_etag, file.last_modified_seconds)
    result = evaluate_preconditions(
        Conditions(if_none_match=conditions.if_none_match), record, services.clock() // SECOND_MS
    )
    return RecordResult(file, not_modified=result is PreconditionResult.NOT_MODIFIED)


def change_record(services: Services, ns: str, name: str, change: FileChange, conditions: Conditions) -> File:
    """Change the record of a file, and return it as it is afterwards. Two calls.

    The record of the upload that made the file does not change: a repeated completion returns it as it was.

    Raises:
        FileNotFound: the name has no file.
        PreconditionFailed: a condition does not hold for the file (`current_file`).
        InvalidField: the file's metadata would not be valid.
        BackendUnavailable: a backend failed, or concurrent requests kept changing the file.
    """
    return retry_on_conflict(lambda: _try_change(services, ns, name, change, conditions), services.sleep)


def _try_change(services: Services, ns: str, name: str, change: FileChange, conditions: Conditions) -> File:
    """Change the record once. Raises `ConcurrentUpdate` if it is another one meanwhile."""
    file = services.file_repository.get_file(ns, name)
    if file is None:
        raise FileNotFound
    check_change(services, conditions, file)
    changed = change.apply(file)
    services.file_repository.change_file(changed, expected=file)
    return changed
