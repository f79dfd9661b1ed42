"""Keeps what was measured: the figures as JSON, a picture, and the table in docs/performance.md."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dev.bench.errors import BenchError
from dev.paths import ROOT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = ROOT / "docs" / "performance.md"
FIGURES_FOLDER = ROOT / "docs" / "performance"
WRITE_HELP = "keep the figures, the plot and the table in docs/performance.md"
FERRY_COLOR, PEER_COLOR, TEXT_COLOR = "#1f6feb", "#9aa4b2", "#6b7280"
"""Colours that can be read on a light page and on a dark one."""


def write_report(name: str, figures: Any, table: str, plot: Callable[[Axes, Any], None]) -> None:
    """Write `name`.json and `name`.svg, and put the table between the page's marks for `name`."""
    FIGURES_FOLDER.mkdir(exist_ok=True)
    (FIGURES_FOLDER / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    _draw(name, figures, plot)
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    found, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: f"{begin}\n{table}\n{end}", page, flags=re.DOTALL
    )
    if count != 1:
        raise BenchError(f"{PAGE.relative_to(ROOT)} has no place for {name}: {begin} … {end}")
    PAGE.write_text(found, encoding="utf-8")


def _draw(name: str, figures: Any, plot: Callable[[Axes, Any], None]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    style = {
        "svg.hashsalt": name,  # the same figures, the same file
        "text.color": TEXT_COLOR,
        "axes.labelcolor": TEXT_COLOR,
        "axes.edgecolor": TEXT_COLOR,
        "xtick.color": TEXT_COLOR,
        "ytick.color": TEXT_COLOR,
        "font.size": 10,
    }
    with plt.rc_context(style):
        figure, axes = plt.subplots(figsize=(9, 3.4), layout="constrained")
        plot(axes, figures)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(FIGURES_FOLDER / f"{name}.svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
