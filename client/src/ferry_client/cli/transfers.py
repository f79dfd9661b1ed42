"""Run the transfers of a subcommand: several files at once. A failure is reported, and the others continue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferry_client.cli import exit_codes
from ferry_client.cli.output import Output
from ferry_client.cli.units import format_bytes, format_duration
from ferry_client.errors import AccessError, CancelledError, FerryError, NetworkError, QuotaError
from ferry_client.models import TransferProgress
from ferry_client.options import MAX_AUTO_JOBS
from ferry_client.workers import run_tasks

if TYPE_CHECKING:
    from ferry_client.cli.display import TransferDisplay

MAX_FILES_AT_ONCE = 16
"""Files in progress at once. Each has threads of its own, so more of them would only hold more files open."""

MAX_END_SECONDS = 0.5
"""How long Ctrl-C waits for the transfers. One that waits for a connection, or for standard input, ends with the
process."""

MAX_LISTED = 20
"""Files that failed and are named once more at the end."""

Report = Callable[[int, int], None]
"""Receives durable bytes and total bytes."""


def progress_to(report: Report) -> Callable[[TransferProgress], None]:
    """Return an `on_progress` that gives the bytes of a transfer to the display."""
    return lambda progress: report(progress.done_bytes, progress.total_bytes)


@dataclass(frozen=True, slots=True)
class FileTask:
    """The transfer of one file."""

    name: str
    """Shown while it runs."""
    size: int
    """Bytes; 0 if unknown."""
    run: Callable[[Report], str]
    """Transfers it, and writes its result."""


_ENDS_THE_RUN = (AccessError, NetworkError, QuotaError, CancelledError)
"""Errors that every further file would meet, too."""


def run_file_tasks(tasks: Sequence[FileTask], output: Output, jobs: int | None) -> int:
    """Run the transfers, and return the exit code: of the error itself if there is one file.

    Raises:
        FerryError: an error that every further file would meet, too.
    """
    failures: list[tuple[str, FerryError]] = []
    threads = min(jobs or MAX_AUTO_JOBS, MAX_FILES_AT_ONCE)
    with output.transfers(len(tasks), sum(task.size for task in tasks)) as display:

        def run(task: FileTask) -> None:
            error = _run_one(task, display)
            if error is not None:
                output.error(f"{task.name}: {error}" if len(tasks) > 1 else str(error))
                failures.append((task.name, error))

        for _ in run_tasks(tasks, run, threads, max_end_seconds=MAX_END_SECONDS):
            pass
    if len(tasks) > 1:
        output.note(_summary(display))
    if not failures:
        return exit_codes.DONE
    if len(tasks) == 1:
        return exit_codes.exit_code(failures[0][1])
    output.error(f"{len(failures)} of {len(tasks)} files failed: {_listed([name for name, _ in failures])}")
    return exit_codes.SOME_FAILED


def _summary(display: TransferDisplay) -> str:
    """Return what was done, as a line for people."""
    totals = display.totals
    text, seconds = f"{totals.done_files} of {totals.file_count} files done", totals.elapsed_seconds
    size = totals.transferred_bytes
    if size:
        text += f", {format_bytes(size)} transferred at {format_bytes(size / max(seconds, 0.001))}/s"
    return f"{text} in {format_duration(seconds)}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:MAX_LISTED])
    return f"{shown}, and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else shown


def _run_one(task: FileTask, display: TransferDisplay) -> FerryError | None:
    is_done = False
    try:
        task.run(lambda done, total: display.update(task.name, done, total))
        is_done = True
    except _ENDS_THE_RUN:
        raise
    except FerryError as error:
        return error
    finally:
        display.end(task.name, task.size, is_done=is_done)
    return None
