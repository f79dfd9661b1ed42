"""Retry an operation whose conditional write lost to a concurrent one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ferry.errors import BackendUnavailable
from ferry.ports.errors import ConcurrentUpdate

T = TypeVar("T")

MAX_CONFLICT_ATTEMPTS = 8
"""Attempts of one request before it gives up."""


def retry_on_conflict(operation: Callable[[], T], *, max_attempts: int = MAX_CONFLICT_ATTEMPTS) -> T:
    """Run `operation`, which reads and then writes conditionally, until no condition fails, and return its result.

    Raises:
        BackendUnavailable: a condition failed in each of `max_attempts` attempts.
    """
    for _ in range(max_attempts):
        try:
            return operation()
        except ConcurrentUpdate:
            continue
    raise BackendUnavailable("Too many requests change this upload at the same time. Repeat the request.")
