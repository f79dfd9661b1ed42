"""The rows of transfers on a terminal, drawn by rich. Importing it takes longer than many commands."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from ferry_client.cli.units import format_bytes, format_duration

_ECHO_COLUMNS = 2
"""Columns at the end of a row that stay empty: a terminal writes `^C` there, which would wrap to a row of its own, and
the rows above would not be erased."""

_BAR_FROM_COLUMNS = 60
"""Width of a terminal from which a row has a bar."""

_BYTES_FROM_COLUMNS = 80
"""Width of a terminal from which a row has the bytes."""


class Rows(Progress):
    """The rows, without the last columns of the terminal."""

    def get_renderables(self) -> Iterator[_Narrowed]:
        yield _Narrowed(self.make_tasks_table(self.tasks))


def columns(width: int) -> list[ProgressColumn]:
    """Return the columns that a terminal of this width has room for."""
    shown: list[ProgressColumn] = [NameColumn(table_column=Column(ratio=2, no_wrap=True))]
    if width >= _BAR_FROM_COLUMNS:
        shown.append(BarColumn(bar_width=None, table_column=Column(ratio=2)))
    shown.append(DoneColumn())
    if width >= _BYTES_FROM_COLUMNS:
        shown.append(BytesColumn())
    return [*shown, RateColumn(), LeftColumn()]


class NameEnd:
    """A name. If the column is too narrow, its end is shown."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        end = self._name
        while end and cell_len(end) + (end != self._name) > options.max_width:
            end = end[1:]
        yield Text(end if end == self._name else f"…{end}", no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(1, max(1, cell_len(self._name)))


class _Narrowed:
    """Something to draw without the last columns of the terminal."""

    def __init__(self, drawn: RenderableType) -> None:
        self._drawn = drawn

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._drawn, options.update_width(max(1, options.max_width - _ECHO_COLUMNS)))


class NameColumn(ProgressColumn):
    """The name, or its end: the names of one folder begin with the same text."""

    def render(self, task: Task) -> NameEnd:
        return NameEnd(task.description)


class DoneColumn(ProgressColumn):
    """The percentage; of a stream, whose length is unknown, the bytes."""

    def render(self, task: Task) -> Text:
        done = f"{task.percentage:3.0f} %" if task.total is not None else format_bytes(task.completed)
        return Text(done, "progress.percentage", justify="right", no_wrap=True)


class BytesColumn(ProgressColumn):
    """Durable bytes and bytes of the file."""

    def render(self, task: Task) -> Text:
        totals = task.fields.get("totals")
        if task.total is None or (totals is not None and not totals.counts_bytes):
            return Text("")
        return Text(f"{format_bytes(task.completed)} of {format_bytes(task.total)}", "progress.download", no_wrap=True)


class RateColumn(ProgressColumn):
    """Bytes a second."""

    def render(self, task: Task) -> Text:
        totals = task.fields.get("totals")
        rate = task.speed if totals is None else totals.rate() if totals.transferred_bytes else None
        return Text("" if rate is None else f"{format_bytes(rate)}/s", "progress.data.speed", no_wrap=True)


class LeftColumn(ProgressColumn):
    """Time left at this rate."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        totals = task.fields.get("totals")
        left = task.time_remaining if totals is None else totals.seconds_left()
        return Text("-:--" if left is None else format_duration(left), "progress.remaining", no_wrap=True)
