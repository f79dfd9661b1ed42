"""What a subcommand shows: results on standard output, everything for people on standard error."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from ferry_client.cli.units import format_bytes, format_duration, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ferry_client.cli.display import TransferDisplay
    from ferry_client.retries import Retry

__all__ = ["Output", "format_bytes", "format_duration"]

_SHOW_RETRY_FROM_SECONDS = 2.0
"""Shortest pause before a repetition that is reported. Those of the first request are always reported."""

_SHOW_RETRY_EVERY_SECONDS = 60.0
"""How often a repetition for the same reason is reported."""


class Output:
    """The output of one run. Thread-safe."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._lock = threading.Lock()
        self._transfers: TransferDisplay | None = None
        self._shown_retry = ("", 0.0)

    def result(self, *lines: str, **members: Any) -> None:
        """Write a result: lines for people, or one JSON line."""
        with self._lock:
            print(json.dumps(members) if self._as_json else "\n".join(map(shown, lines)), flush=True)

    def note(self, text: str) -> None:
        """Show what people should know."""
        if not self._quiet:
            self._to_people(text)

    def picture(self, lines: Sequence[str]) -> None:
        """Write lines for people as they are. Raises `UnicodeEncodeError` if standard error cannot show them."""
        print("\n".join(lines), file=sys.stderr, flush=True)

    def error(self, text: str) -> None:
        """Show an error, also with `--quiet`."""
        self._to_people(f"ferry: {text}")

    def retrying(self, retry: Retry) -> None:
        """Show that a request is repeated: at once if it is the first one, and once a minute for the same reason."""
        if retry.delay_seconds < _SHOW_RETRY_FROM_SECONDS and not retry.is_first_request:
            return
        now = time.monotonic()
        with self._lock:
            reason, shown_at = self._shown_retry
            if reason == retry.reason and now - shown_at < _SHOW_RETRY_EVERY_SECONDS:
                return
            self._shown_retry = (retry.reason, now)
        until = time.strftime("%H:%M:%S", time.localtime(time.time() + retry.seconds_left))
        self.note(f"{retry.reason}. Trying again until {until}; Ctrl-C stops, --retry-for sets how long.")

    def transfers(self, file_count: int, total_bytes: int) -> TransferDisplay:
        """Return the display of transfers, a context manager. `total_bytes` is 0 if the sizes are unknown."""
        from ferry_client.cli.display import LineDisplay, TerminalDisplay
        from ferry_client.cli.totals import TransferTotals

        totals = TransferTotals(file_count, total_bytes)
        is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
        is_terminal = is_terminal and not self._as_json and not self._quiet
        is_silent = self._quiet or self._as_json
        self._transfers = TerminalDisplay(totals) if is_terminal else LineDisplay(totals, silent=is_silent)
        return self._transfers

    def _to_people(self, text: str) -> None:
        text = shown(text)
        if self._transfers is not None:
            self._transfers.print(text)
        else:
            print(text, file=sys.stderr, flush=True)
