"""The name that a move or a restore gives a file: what it has, and whether that may be replaced."""

from __future__ import annotations

from dataclasses import replace

from ferry.errors import FileExists
from ferry.files.conditions import check_change
from ferry.model.files import File
from ferry.rules.conditions import Conditions
from ferry.services import Services

ANY_FILE = "*"
"""The value of `If-None-Match` that no file matches."""


def forbids_existing(conditions: Conditions) -> bool:
    """Return whether the conditions allow no file at the new name: `If-None-Match: *` is `if_exists: fail`."""
    return conditions.if_none_match is not None and conditions.if_none_match.strip(" \t") == ANY_FILE


def check_existing(services: Services, conditions: Conditions, existing: File | None, *, may_replace: bool) -> None:
    """Raise an error unless the new name may be given to the file.

    Raises:
        FileExists: the name has a file that may not be replaced.
        PreconditionFailed: a condition does not hold for what the name has (`current_file`).
    """
    if existing is not None and forbids_existing(conditions):
        raise FileExists
    if not forbids_existing(conditions):
        check_change(services, conditions, existing)
    if existing is not None and not may_replace:
        raise FileExists


def without_none_match(conditions: Conditions) -> Conditions:
    """Return the conditions without the one that is about the new name."""
    return replace(conditions, if_none_match=None)


def only_none_match(conditions: Conditions) -> Conditions:
    """Return the condition that is about the new name alone."""
    return Conditions(if_none_match=conditions.if_none_match)
