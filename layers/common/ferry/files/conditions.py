"""The conditions of a request that changes one file."""

from __future__ import annotations

from ferry.errors import PreconditionFailed
from ferry.files.validators import file_validators
from ferry.model.files import File
from ferry.rules.conditions import Conditions, allows_change
from ferry.rules.durations import SECOND_MS
from ferry.services import Services


def check_change(services: Services, conditions: Conditions, file: File | None) -> None:
    """Raise `PreconditionFailed` unless the conditions hold for what the name has; None: it has no file.

    `If-Match` and `If-None-Match` take the entity tags of the record and of the content. The error has the file in
    `extra["current_file"]`, so that a client which lost a response can compare.
    """
    current = None if file is None else file_validators(file, also_record=True)
    if not allows_change(conditions, current, services.clock() // SECOND_MS):
        raise precondition_failed(file)


def precondition_failed(file: File | None) -> PreconditionFailed:
    """Return the error about a condition that does not hold for this file."""
    if file is None:
        return PreconditionFailed("There is no file with this name. Repeat the request without If-Match.")
    return PreconditionFailed(
        "The file does not match the request's condition. Compare it with current_file, then repeat the request with "
        "its ETag.",
        current_file=file,
    )
