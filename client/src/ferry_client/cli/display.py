"""Shows transfers while they run: rows on a terminal, timed lines elsewhere. Only durable bytes count."""

from __future__ import annotations

import sys
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from ferry_client.cli.totals import FileState, TransferTotals
from ferry_client.cli.units import format_bytes, format_duration, shown

if TYPE_CHECKING:
    from rich.progress import TaskID

LINE_EVERY_SECONDS = 10.0
"""How often transfers are reported where standard error is no terminal."""

_REFRESHES_PER_SECOND = 4
"""How often a terminal is drawn. Each time it gets all rows, which on a remote terminal go over the line."""


class TransferDisplay(ABC):
    """Shows transfers while they run. Thread-safe."""

    def __init__(self, totals: TransferTotals) -> None:
        self.totals = totals
        """What is done of all files."""

    def __enter__(self) -> TransferDisplay:
        return self

    def __exit__(self, *error: object) -> None:
        """End the display. What has no end of its own does nothing."""
        del error

    def update(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Show the durable bytes of a file; `total_bytes` is 0 while the length is unknown."""
        self.show(shown(name), self.totals.update(name, done_bytes, total_bytes))

    def end(self, name: str, size_bytes: int, *, is_done: bool) -> None:
        """Remove a file that is done or failed."""
        self.totals.end(name, size_bytes, is_done=is_done)
        self.remove(shown(name))

    @abstractmethod
    def show(self, name: str, file: FileState) -> None:
        """Show a file that is transferred now."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Show a file no longer."""

    def print(self, text: str) -> None:
        """Write a line for people."""
        print(text, file=sys.stderr, flush=True)


class LineDisplay(TransferDisplay):
    """A line each `LINE_EVERY_SECONDS`, for logs: of the file where there is one, else of all files."""

    def __init__(self, totals: TransferTotals, *, silent: bool) -> None:
        super().__init__(totals)
        self._silent = silent
        self._lock = threading.Lock()
        self._last_line_at = time.monotonic()

    def show(self, name: str, file: FileState) -> None:
        if self._is_due():
            self.print(f"{time.strftime('%H:%M:%S')} {self._line(name, file)}")

    def remove(self, name: str) -> None:
        if self.totals.file_count > 1 and self._is_due():
            self.print(f"{time.strftime('%H:%M:%S')} {self._line(name, None)}")

    def _is_due(self) -> bool:
        now = time.monotonic()
        with self._lock:
            if self._silent or now - self._last_line_at < LINE_EVERY_SECONDS:
                return False
            self._last_line_at = now
            return True

    def _line(self, name: str, file: FileState | None) -> str:
        totals = self.totals
        text = name if totals.file_count == 1 else f"{totals.ended_files} of {totals.file_count} files"
        total = totals.total_bytes or (file.total_bytes if file is not None else 0)
        if totals.counts_bytes:
            text += f"{' ' if totals.file_count == 1 else ', '}{format_bytes(totals.done_bytes)}"
            text += f" of {format_bytes(total)} ({100 * totals.done_bytes // total} %)" if total else ""
            text += f" at {format_bytes(totals.rate())}/s"
        left = totals.seconds_left()
        return text if left is None else f"{text}, {format_duration(left)} left"


class TerminalDisplay(TransferDisplay):
    """A row for all files if there are several, and one for each that is transferred now."""

    def __init__(self, totals: TransferTotals) -> None:
        super().__init__(totals)
        from rich.console import Console

        from ferry_client.cli.terminal_rows import Rows, columns

        console = Console(stderr=True)
        self._progress = Rows(
            *columns(console.width),
            console=console,
            expand=True,
            transient=True,
            refresh_per_second=_REFRESHES_PER_SECOND,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()
        self._all_files: TaskID | None = None
        self._is_single = totals.file_count == 1

    def __enter__(self) -> TransferDisplay:
        if self.totals.file_count > 1:
            self._all_files = self._progress.add_task("", totals=self.totals)
            self._update_all_files()
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, name: str, file: FileState) -> None:
        total = file.total_bytes or None
        with self._lock:
            if name not in self._tasks:
                # What an earlier run transferred counts for the percentage, not for the rate.
                self._tasks[name] = self._progress.add_task(
                    name, total=total, completed=file.done_bytes, totals=self.totals if self._is_single else None
                )
            else:
                self._progress.update(self._tasks[name], completed=file.done_bytes, total=total)
            self._update_all_files()

    def remove(self, name: str) -> None:
        with self._lock:
            task = self._tasks.pop(name, None)
            if task is not None:
                self._progress.remove_task(task)
            self._update_all_files()

    def print(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _update_all_files(self) -> None:
        if self._all_files is None:
            return
        totals = self.totals
        done, total = totals.done_bytes, totals.total_bytes
        if not totals.counts_bytes:
            done, total = totals.ended_files, totals.file_count
        text = f"{totals.ended_files} of {totals.file_count} files"
        self._progress.update(self._all_files, description=text, completed=done, total=total)
