"""When a request is repeated: after how long, and until when."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

RETRYABLE_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""

CONTINUE_ADVICE = "Run the same command again when the network is back; it continues where it stopped."
"""What to do after a time without success, for transfers that can be continued."""

MAX_RETRY_AFTER_SECONDS = 60.0
"""Longest pause that a server's Retry-After causes."""

_FIRST_DELAY_SECONDS = 0.5
"""Longest pause before the first repetition. Each further one may be twice as long."""

_MAX_DELAY_SECONDS = 20.0
"""Longest pause that no server asked for."""

_RETRY_AFTER_SPREAD = 1.2
"""Clients that get the same Retry-After come back within it and this multiple of it."""

_IDLE_SECONDS = 180.0
"""A new request that fails this long after the last failure begins another outage."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A request that is about to be repeated."""

    reason: str
    """Why: what failed, and what to check."""
    delay_seconds: float
    """Time until it is repeated."""
    seconds_left: float
    """Time until it is no longer repeated, if nothing succeeds."""
    is_first_request: bool
    """Whether nothing has succeeded yet: the reason may be the configuration."""


class RetryClock:
    """How long requests have been without success. One for all threads of a client."""

    def __init__(self, retry_for_seconds: float, now: Callable[[], float] = time.monotonic) -> None:
        self._retry_for_seconds = retry_for_seconds
        self._now = now
        self._lock = threading.Lock()
        self._failing_since: float | None = None
        self._failed_at = -math.inf
        self.successes = 0
        """Successes so far."""

    def record_success(self) -> None:
        """Start the time anew."""
        with self._lock:
            self._failing_since = None
            self.successes += 1

    def is_exhausted(self, attempt: int = 2) -> bool:
        """Record a failure, and return whether the time without success is used up.

        The failure of a first `attempt`, long after the last failure, starts the time anew: the caller gave up, or was
        stopped, in between.
        """
        with self._lock:
            now = self._now()
            if self._failing_since is None or (attempt == 1 and now - self._failed_at > _IDLE_SECONDS):
                self._failing_since = now
            self._failed_at = now
            return now - self._failing_since >= self._retry_for_seconds

    def seconds_left(self) -> float:
        """Return how long requests are still repeated if none succeeds."""
        with self._lock:
            since = self._now() if self._failing_since is None else self._failing_since
            return max(0.0, since + self._retry_for_seconds - self._now())


def retry_delay(attempt: int, retry_after: float | None = None) -> float:
    """Return the seconds before a repetition: more after each attempt, and at least what the server asks for.

    Each is spread at random, so that clients which failed together do not come back together.
    """
    delay: float = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2 ** min(attempt - 1, 10))
    delay *= random.uniform(0.5, 1.0)  # noqa: S311 - no secret
    requested_seconds = min(retry_after or 0.0, MAX_RETRY_AFTER_SECONDS)
    spread = random.uniform(1.0, _RETRY_AFTER_SPREAD)  # noqa: S311 - no secret
    return max(delay, requested_seconds * spread)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a response's Retry-After (RFC 9110 section 10.2.3); None where there is none.

    A date is compared with the response's own Date: this machine's clock may be wrong.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    at = _parse_date(value)
    if at is None:
        return None
    now = _parse_date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, (at - now).total_seconds())


def _parse_date(value: str) -> datetime | None:
    """Return an HTTP date; None where the value is none."""
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
