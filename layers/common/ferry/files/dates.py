"""Dates of files under one name: each is later than the one before (docs/decisions/0011)."""

from __future__ import annotations

from ferry.model.files import File
from ferry.rules.durations import SECOND_MS
from ferry.services import Services

MAX_DATE_WAIT_MS = 8 * SECOND_MS
"""The longest time for which a deletion or a move waits until the date of a file has passed."""


def date_under_new_name(now: int, replaced_file: File | None) -> int:
    """Return the date of a file that gets a name now: later than that of the file that it replaces."""
    return max(now // SECOND_MS, 0 if replaced_file is None else replaced_file.last_modified_seconds + 1)


def wait_until_date_has_passed(services: Services, last_modified_seconds: int) -> None:
    """Return when the clock has reached a date, or after `MAX_DATE_WAIT_MS`.

    The date of a file that replaced others within a second is ahead of the clock. A name without a file keeps no date.
    So a file is moved or deleted only when its date has passed: the next file of the name then has a later date.

    Args:
        services: the clock, and the function that waits.
        last_modified_seconds: the date in seconds since 1970.
    """
    ahead_ms = last_modified_seconds * SECOND_MS - services.clock()
    if ahead_ms > 0:
        services.sleep(min(ahead_ms, MAX_DATE_WAIT_MS) / SECOND_MS)
