"""Retry an operation whose conditional write lost to a concurrent one."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TypeVar

from ferry.errors import BackendUnavailable
from ferry.ports.errors import ConcurrentUpdate

T = TypeVar("T")

MAX_CONFLICT_ATTEMPTS = 8
"""Attempts of one request before it gives up, without pauses."""

MAX_PAUSED_ATTEMPTS = 14
"""Attempts of one request before it gives up, with pauses."""

_FIRST_PAUSE_SECONDS = 0.02
_MAX_PAUSE_SECONDS = 0.5


def retry_on_conflict(
    operation: Callable[[], T], sleep: Callable[[float], None] | None = None, *, max_attempts: int | None = None
) -> T:
    """Run `operation`, which reads and then writes conditionally, until no condition fails, and return its result.

    Args:
        operation: the operation.
        sleep: waits for a number of seconds. With it, the attempts after the second begin after a random pause, so that
            many requests for one name come one after the other; None: no pauses.
        max_attempts: attempts before it gives up; None: `MAX_PAUSED_ATTEMPTS`, without pauses `MAX_CONFLICT_ATTEMPTS`.

    Raises:
        BackendUnavailable: a condition failed in each attempt.
    """
    default_attempts = MAX_CONFLICT_ATTEMPTS if sleep is None else MAX_PAUSED_ATTEMPTS
    for attempt in range(max_attempts or default_attempts):
        if sleep is not None and attempt > 1:
            sleep(secrets.SystemRandom().uniform(0.0, min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)))
        try:
            return operation()
        except ConcurrentUpdate:
            continue
    raise BackendUnavailable("Too many requests change this name at the same time. Repeat the request.")
