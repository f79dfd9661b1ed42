"""What people see while files are transferred."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from ferry_client.cli.display import LineDisplay, TerminalDisplay
from ferry_client.cli.terminal_rows import NameEnd
from ferry_client.cli.totals import TransferTotals

MIB = 1024 * 1024


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def totals_of(clock: Callable[[], float], file_count: int, total_bytes: int) -> TransferTotals:
    return TransferTotals(file_count, total_bytes, now=clock)


def test_totals_count_resumed_bytes_as_done_and_not_as_rate(clock: Clock) -> None:
    """Half of the file came from an earlier run: it counts for the percentage; the rate is of this run."""
    totals = totals_of(clock, 1, 100 * MIB)
    totals.update("a", 50 * MIB, 100 * MIB)
    clock.now += 5
    totals.update("a", 60 * MIB, 100 * MIB)
    assert (totals.done_bytes, totals.transferred_bytes) == (60 * MIB, 10 * MIB)
    assert totals.rate() == 2 * MIB
    assert totals.seconds_left() == 20


def test_totals_of_a_stalled_transfer_become_slow(clock: Clock) -> None:
    """A rate without bytes falls, so the time left grows: nothing is shown that is not so."""
    totals = totals_of(clock, 1, 100 * MIB)
    totals.update("a", 0, 100 * MIB)
    clock.now += 10
    totals.update("a", 50 * MIB, 100 * MIB)
    before = totals.seconds_left()
    clock.now += 60
    assert before is not None
    assert totals.rate() < MIB
    assert (totals.seconds_left() or 0) > 5 * before


def test_totals_reach_their_end_whatever_becomes_of_files(clock: Clock) -> None:
    """A file that failed is no longer to be done; one that was there counts as done."""
    totals = totals_of(clock, 3, 30)
    totals.update("sent", 0, 10)
    totals.update("sent", 10, 10)
    totals.end("sent", 10, is_done=True)
    totals.end("skipped", 10, is_done=True)
    totals.update("failed", 0, 10)
    totals.update("failed", 4, 10)
    totals.end("failed", 10, is_done=False)
    assert (totals.ended_files, totals.done_files) == (3, 2)
    assert (totals.done_bytes, totals.total_bytes, totals.transferred_bytes) == (20, 20, 10)


def test_totals_without_sizes_count_files(clock: Clock) -> None:
    """Moves have no bytes: the time left is by their number."""
    totals = totals_of(clock, 10, 0)
    clock.now += 1
    totals.end("a", 0, is_done=True)
    clock.now += 1
    totals.end("b", 0, is_done=True)
    assert totals.seconds_left() == 8


def test_totals_of_a_stream_have_a_rate_and_no_end(clock: Clock) -> None:
    """The length of a stream is unknown: no percentage, no time left."""
    totals = totals_of(clock, 1, 0)
    totals.update("-", 0, 0)
    clock.now += 4
    totals.update("-", 8 * MIB, 0)
    assert totals.rate() == 2 * MIB
    assert totals.seconds_left() is None


@pytest.mark.parametrize(
    ("sums", "expected"),
    [
        ((1, 40 * MIB), r"a 10\.0 MiB of 40\.0 MiB \(25 %\) at 1\.0 MiB/s, 0:30 left"),
        ((3, 100 * MIB), r"0 of 3 files, 10\.0 MiB of 100\.0 MiB \(10 %\) at 1\.0 MiB/s, 1:30 left"),
        ((1, 0), r"a 10\.0 MiB at 1\.0 MiB/s"),
    ],
)
def test_line_says_what_is_done(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sums: tuple[int, int],
    expected: str,
) -> None:
    """Off a terminal, a line each ten seconds: the time, what is done, the rate, the time left."""
    file_count, total = sums
    monkeypatch.setattr("ferry_client.cli.display.time.monotonic", clock)
    shown = LineDisplay(totals_of(clock, file_count, total), silent=False)
    size = total if file_count == 1 else 40 * MIB
    shown.update("a", 0, size)
    clock.now += 5
    shown.update("a", 5 * MIB, size)
    clock.now += 5
    shown.update("a", 10 * MIB, size)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d {expected}", line), line


def terminal_text(monkeypatch: pytest.MonkeyPatch, columns: int, use: Callable[[TerminalDisplay], None]) -> list[str]:
    """Return the rows that a terminal of so many columns shows."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    shown = TerminalDisplay(TransferTotals(3, 30 * MIB))
    with shown:
        use(shown)
        console = Console(width=columns, file=io.StringIO())
        with console.capture() as capture:
            console.print(shown._progress.get_renderable())
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


@pytest.mark.parametrize("columns", [30, 40, 60, 80, 200])
def test_terminal_of_any_width_shows_the_sum_and_each_file(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """Rows leave room for the `^C` of the terminal, which would wrap; the first is of all files, and names are cut at
    their beginning.
    """

    def use(shown: TerminalDisplay) -> None:
        for name in ("photos/2026/a-very-long-name-of-a-picture-1.jpg", "photos/2026/b", "[bold]x[/bold]"):
            shown.update(name, 0, 10 * MIB)
            shown.update(name, 5 * MIB, 10 * MIB)
        shown.end("photos/2026/b", 10 * MIB, is_done=True)

    rows = terminal_text(monkeypatch, columns, use)
    assert len(rows) == 3, rows
    assert all(len(row) <= columns - len("^C") for row in rows)
    assert rows[0].startswith("1 of 3 files" if columns >= 40 else "…")
    assert all(" 50 %" in row for row in rows[1:])
    if columns >= 40:
        assert "picture-1.jpg" in rows[1].partition(" 50 %")[0]
        assert "[bold]x[/bold]" in rows[2]


def test_end_of_a_name_fits() -> None:
    """Wide characters count twice; a name that fits is whole."""
    console = Console(width=8, file=io.StringIO())
    with console.capture() as capture:
        console.print(NameEnd("写真写真写真"))
        console.print(NameEnd("12345678"))
    assert capture.get().splitlines() == ["…真写真", "12345678"]


def test_names_change_no_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters of a name, and those that turn text around, are escaped in rows and in lines."""
    name = "a\x1b[2J\u202eb"

    def use(shown: TerminalDisplay) -> None:
        shown.update(name, 0, MIB)
        shown.update("other", 0, MIB)
        shown.end("other", MIB, is_done=True)

    rows = terminal_text(monkeypatch, 80, use)
    assert r"a\x1b[2J\u202eb" in rows[1]
    monkeypatch.undo()
    line = LineDisplay(TransferTotals(1, MIB), silent=False)
    monkeypatch.setattr("ferry_client.cli.display.LINE_EVERY_SECONDS", -1.0)
    line.update(name, 0, MIB)
    assert r"a\x1b[2J\u202eb 0 B of" in capsys.readouterr().err


def test_row_of_a_single_file_has_a_rate_from_its_first_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A large part is reported as a whole: the rate is of the time since the start, and waits for no second part."""
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    clock = Clock()
    shown = TerminalDisplay(TransferTotals(1, 32 * MIB, now=clock))
    shown.update("a", 0, 32 * MIB)
    clock.now += 8
    shown.update("a", 16 * MIB, 32 * MIB)
    console = Console(width=40, file=io.StringIO())
    with console.capture() as capture:
        console.print(shown._progress.get_renderable())
    assert " 50 % 2.0 MiB/s 0:08" in capture.get()
