"""Whether this machine reaches S3. One result is valid for all transfers of a client."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ferry_client.api import Api
from ferry_client.errors import FerryError

MAX_UNPROVEN_FAILURES = 3
"""Failures without any success after which S3 counts as out of reach, if the service responds meanwhile."""

MAX_REJECTIONS = 20
"""How often S3 rejects one part, or the URLs of ranges without a byte in between, before the transfer fails. Broken
connections do not count."""


class DirectUnavailableError(FerryError):
    """S3 cannot be reached from this machine."""


class DirectAccess:
    """The connection between this machine and S3. Thread-safe."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = threading.Lock()
        self._failures = 0
        self._is_proven = False
        self.is_allowed = api.options.allow_direct
        """Whether bytes go straight between this machine and S3. Becomes False when S3 is out of reach."""

    def record_success(self) -> None:
        """Record a success of S3: from now on, failures are those of the line."""
        with self._lock:
            self._is_proven, self._failures = True, 0
        self._api.record_success(is_direct=True)

    def record_failure(self, reason: str, attempt: int) -> None:
        """Wait before a repetition.

        Raises:
            DirectUnavailableError: S3 was never reached, and the service is.
            NetworkError: there was no success for `retry_for_seconds`.
            CancelledError: the client was stopped.
        """
        with self._lock:
            self._failures += 1
            is_suspect = not self._is_proven and self._failures >= MAX_UNPROVEN_FAILURES
        if is_suspect and self._api.is_reachable():
            raise DirectUnavailableError("S3 is out of reach.")
        self._api.pause_after_failure(reason, attempt, is_direct=True)

    def give_up(self, on_note: Callable[[str], None]) -> None:
        """Use the API alone from now on, and call `on_note` once."""
        with self._lock:
            was_allowed, self.is_allowed = self.is_allowed, False
        if was_allowed:
            on_note("S3 is out of reach from here. Everything goes through the API, in chunks of at most 4 MiB.")
