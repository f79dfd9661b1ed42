"""What a subcommand shows: results on standard output, everything for people on standard error."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY_SECONDS = 10.0
"""How often a transfer is reported where standard error is no terminal."""

_SHOW_RETRY_FROM_SECONDS = 2.0
"""Shorter pauses before a repetition are not reported."""


class Output:
    """The output of one run. Thread-safe."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._lock = threading.Lock()
        self._transfers: TransferDisplay | None = None

    def result(self, text: str, /, **members: Any) -> None:
        """Write a result: one line for people, or one JSON line."""
        with self._lock:
            print(json.dumps(members) if self._as_json else text, flush=True)

    def note(self, text: str) -> None:
        """Show what people should know."""
        if not self._quiet:
            self._to_people(text)

    def error(self, text: str) -> None:
        """Show an error, also with `--quiet`."""
        self._to_people(f"ferry: {text}")

    def retrying(self, reason: str, seconds: float) -> None:
        """Show that a request is repeated."""
        if seconds >= _SHOW_RETRY_FROM_SECONDS:
            self.note(f"{reason}; next try in {seconds:.0f} s")

    def transfers(self) -> TransferDisplay:
        """Return the display of transfers, a context manager."""
        is_terminal = sys.stderr.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
        is_terminal = is_terminal and not self._as_json and not self._quiet
        self._transfers = TerminalDisplay() if is_terminal else LineDisplay(silent=self._quiet or self._as_json)
        return self._transfers

    def _to_people(self, text: str) -> None:
        if self._transfers is not None:
            self._transfers.print(text)
        else:
            print(text, file=sys.stderr, flush=True)


class TransferDisplay(ABC):
    """Shows transfers while they run. Only durable bytes are shown."""

    def __enter__(self) -> TransferDisplay:
        return self

    def __exit__(self, *error: object) -> None:
        """End the display. What has no end of its own does nothing."""
        del error

    @abstractmethod
    def update(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Show the durable bytes of a file."""

    @abstractmethod
    def end(self, name: str) -> None:
        """Remove a file that is done or failed."""

    def print(self, text: str) -> None:
        """Write a line for people."""
        print(text, file=sys.stderr, flush=True)


class LineDisplay(TransferDisplay):
    """A line each `LINE_EVERY_SECONDS`, for logs."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._lock = threading.Lock()
        self._files: dict[str, tuple[int, int]] = {}
        self._last_line_at = time.monotonic()
        self._last_done = 0
        self._ended_bytes = 0

    def update(self, name: str, done_bytes: int, total_bytes: int) -> None:
        with self._lock:
            self._files[name] = (done_bytes, total_bytes)
            now = time.monotonic()
            elapsed = now - self._last_line_at
            if self._silent or elapsed < LINE_EVERY_SECONDS:
                return
            done = self._ended_bytes + sum(done for done, _ in self._files.values())
            rate = max(0, done - self._last_done) / elapsed
            self._last_line_at, self._last_done = now, done
            for file, (file_done, total) in self._files.items():
                percent = 100 * file_done // total if total else 100
                left = f", {format_duration((total - file_done) / rate)} left" if rate else ""
                self.print(f"{time.strftime('%H:%M:%S')} {file} {percent} % at {format_bytes(rate)}/s{left}")

    def end(self, name: str) -> None:
        with self._lock:
            self._ended_bytes += self._files.pop(name, (0, 0))[0]


class TerminalDisplay(TransferDisplay):
    """Progress bars."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            ProgressColumn,
            Task,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.table import Column
        from rich.text import Text

        class RateColumn(ProgressColumn):
            """Bytes a second, in the units of the other columns."""

            def render(self, task: Task) -> Text:
                return Text("" if task.speed is None else f"{format_bytes(task.speed)}/s", "progress.data.speed")

        console = Console(stderr=True)
        columns: list[Any] = [
            TextColumn(
                "{task.description}", table_column=Column(ratio=2, no_wrap=True, overflow="ellipsis"), markup=False
            )
        ]
        if console.width >= 60:
            columns.append(BarColumn(bar_width=None, table_column=Column(ratio=2)))
        columns.append(TextColumn("{task.percentage:>3.0f} %"))
        if console.width >= 80:
            columns.append(DownloadColumn(binary_units=True))
        columns += [RateColumn(), TimeRemainingColumn(compact=True)]
        self._progress: Progress = Progress(
            *columns, console=console, expand=True, transient=True, redirect_stdout=sys.stdout.isatty()
        )
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> TransferDisplay:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def update(self, name: str, done_bytes: int, total_bytes: int) -> None:
        with self._lock:
            if name not in self._tasks:
                # What an earlier run transferred counts for the percentage, not for the rate.
                self._tasks[name] = self._progress.add_task(name, total=total_bytes, completed=done_bytes)
                return
            self._progress.update(self._tasks[name], completed=done_bytes, total=total_bytes)

    def end(self, name: str) -> None:
        with self._lock:
            task = self._tasks.pop(name, None)
            if task is not None:
                self._progress.remove_task(task)

    def print(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


def format_bytes(size: float) -> str:
    """Return a size with a binary unit, for example `1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_duration(seconds: float) -> str:
    """Return a duration, for example `1:05` or `2:03:10`."""
    whole = round(seconds)
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
