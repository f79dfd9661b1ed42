"""Retry an operation whose conditional write lost to a concurrent one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ferry.errors import (
    BackendUnavailable,
)
from ferry.ports.errors import ConcurrentUpdate

T = TypeVar("T")


MAX_CONFLICT_ATTEMPTS = 8
"""How often a request reads and decides anew when others keep moving what it looks at."""


def retry_on_conflict(operation: Callable[[], T]) -> T:
    """Run `step`, which reads and then writes by condition, again whenever a condition did not hold.

    Raises:
        BackendUnavailable: it did not hold time after time.
    """
    for _ in range(MAX_CONFLICT_ATTEMPTS):
        try:
            return operation()
        except ConcurrentUpdate:
            continue
    raise BackendUnavailable("too many requests are changing this upload at once; try again")
