"""Write a benchmark's results: the figures, a plot, and the table in docs/performance.md."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dev.bench.errors import BenchError
from dev.figures import read_figures, write_figures
from dev.paths import ROOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = ROOT / "docs" / "performance.md"
PLOTS_FOLDER = ROOT / "docs" / "performance"
FERRY_COLOR, PEER_COLOR, TEXT_COLOR = "#1f6feb", "#9aa4b2", "#6b7280"
"""Colors that are legible on a light page and on a dark one."""


class Measured(Protocol):
    """What the requests of one kind took."""

    seconds: list[float]
    """Wall time, one entry a batch."""
    cpu_seconds: dict[str, float]
    """Processor time of the service over all batches, by what it emulates."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a benchmark's figures are shown."""

    name: str
    """The NAME of `make prove-NAME`, `docs/figures/NAME.json`, `docs/performance/NAME.svg` and the table's markers."""

    format_table: Callable[[Any], str]
    """Returns the figures as a Markdown table."""

    plot: Callable[[Axes, Any], None]
    """Draws the figures."""

    command: str = ""
    """The command that measures the figures again; empty for `make prove-NAME`."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the options that `handle` reads."""
        group = parser.add_mutually_exclusive_group()
        group.add_argument(
            "--write", action="store_true", help="write the figures, the plot and the table in docs/performance.md"
        )
        group.add_argument(
            "--redraw", action="store_true", help="measure nothing; draw plot and table from the committed figures"
        )

    def publish(self, figures: Any, *, write: bool) -> None:
        """Print the table. With `write`, also write figures, plot and page. Raises `BenchError`."""
        print(self.format_table(figures))
        if write:
            write_figures(self.name, self.command or f"make prove-{self.name}", figures)
            self.draw(figures)

    def redraw(self) -> None:
        """Draw plot and table again from `docs/figures/NAME.json`. Raises `BenchError`, `FileNotFoundError`."""
        self.draw(read_figures(self.name))

    def draw(self, figures: Any) -> None:
        """Write the plot, and the table between the page's markers. Raises `BenchError`."""
        _write_plot(self.name, figures, self.plot)
        start, end = f"<!-- {self.name} -->", f"<!-- /{self.name} -->"
        content = f"{start}\n{self.format_table(figures)}\n{end}"
        page, count = re.subn(
            f"{re.escape(start)}.*?{re.escape(end)}",
            lambda _: content,
            PAGE.read_text(encoding="utf-8"),
            flags=re.DOTALL,
        )
        if count != 1:
            raise BenchError(f"{PAGE.relative_to(ROOT)} must contain {start} … {end} once")
        PAGE.write_text(page, encoding="utf-8")


def _write_plot(name: str, figures: Any, plot: Callable[[Axes, Any], None]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    style = {
        "svg.hashsalt": name,  # the same figures give the same bytes
        "text.color": TEXT_COLOR,
        "axes.labelcolor": TEXT_COLOR,
        "axes.edgecolor": TEXT_COLOR,
        "xtick.color": TEXT_COLOR,
        "ytick.color": TEXT_COLOR,
        "font.size": 10,
    }
    PLOTS_FOLDER.mkdir(exist_ok=True)
    with plt.rc_context(style):
        figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
        plot(axes, figures)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(PLOTS_FOLDER / f"{name}.svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
