"""Draw the plot of docs/costs.md: USD a TB against the size of a chunk or part, both paths, beside peers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from dev.bench.cost_model import (
    BY_CHUNK_SIZE,
    PRESIGNED,
    TARGET_API_USD,
    TARGET_PRESIGNED_USD,
    TUS_CALLS_PER_CHUNK,
    figures_line,
    format_size,
    plain_presigned_usd_per_tb,
    tus_usd_per_tb,
)
from ferry.rules.layout import KIB, MIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN = "#1f5fa8", "#c2571a", "#2e7d32"
MIN_PARTS = 1_000
"""Files with fewer parts are not drawn: their fixed costs hide the cost of a part."""

X_TICKS = (256 * KIB, MIB, 4 * MIB, 8 * MIB, 64 * MIB, 528 * MIB)
Y_TICKS = (0.01, 0.1, 1, 10, 100)


def draw(path: Path) -> None:
    """Write the plot as SVG. The same figures give the same bytes."""
    mpl.rcParams["svg.hashsalt"] = "ferry"
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    axes = figure.subplots()
    # The figures span four orders of magnitude.
    axes.set_xscale("log")
    axes.set_yscale("log")
    _plot_chunks(axes)
    _plot_parts(axes)
    _plot_tus(axes)
    _plot_targets(axes)
    _label_axes(axes)
    figure.savefig(path, metadata={"Date": None, "Description": figures_line()})


def _plot_chunks(axes: Axes) -> None:
    sizes = [scenario.chunk_size for scenario in BY_CHUNK_SIZE]
    usd = [scenario.usd_per_tb for scenario in BY_CHUNK_SIZE]
    label = f"Ferry, chunks through the API (file of {format_size(BY_CHUNK_SIZE[0].size)})"
    axes.plot(sizes, usd, "o-", color=ORANGE, label=label)
    s3_usd = [scenario.s3_usd_per_tb for scenario in BY_CHUNK_SIZE]
    axes.plot(sizes, s3_usd, "o:", color=ORANGE, markerfacecolor="white", label="of that, S3 alone")
    _annotate(axes, sizes, usd, ORANGE)


def _plot_parts(axes: Axes) -> None:
    scenarios = {s.layout.part_size: s for s in PRESIGNED if s.layout.part_count >= MIN_PARTS}
    sizes = list(scenarios)
    usd = [scenario.usd_per_tb for scenario in scenarios.values()]
    axes.plot(sizes, usd, "s-", color=BLUE, label="Ferry, parts straight to S3")
    plain_usd = [plain_presigned_usd_per_tb(size, s.layout.part_count) for size, s in scenarios.items()]
    axes.plot(sizes, plain_usd, "x", color="black", markersize=9, label="plain presigned parts, S3 alone")
    _annotate(axes, sizes, usd, BLUE)


def _plot_tus(axes: Axes) -> None:
    for size in TUS_CALLS_PER_CHUNK:
        # Only the first line has a label, so that the legend names tus once.
        label = (
            "tus-node-server with s3-store, S3 alone: minimum to maximum" if size == min(TUS_CALLS_PER_CHUNK) else ""
        )
        axes.vlines(size * 0.87, *tus_usd_per_tb(size), color=GREEN, linewidth=6, alpha=0.5, label=label)


def _plot_targets(axes: Axes) -> None:
    style: dict[str, Any] = {"markerfacecolor": "none", "markersize": 11, "linestyle": "none"}
    label = f"goals: {TARGET_API_USD:.2f} and {TARGET_PRESIGNED_USD:.2f}"
    axes.plot(4 * MIB, TARGET_API_USD, "v", color=ORANGE, label=label, **style)
    axes.plot(64 * MIB, TARGET_PRESIGNED_USD, "v", color=BLUE, **style)


def _annotate(axes: Axes, sizes: list[int], usd: list[float], color: str) -> None:
    for size, value in zip(sizes, usd, strict=True):
        label = f"{value:.2f}" if value > 1 else f"{value:.3f}"
        axes.annotate(label, (size, value), (8, 7), textcoords="offset points", color=color)


def _label_axes(axes: Axes) -> None:
    axes.set_xticks(X_TICKS, [format_size(tick) for tick in X_TICKS])
    axes.set_xticks([], minor=True)
    axes.set_yticks(Y_TICKS, [f"{tick:g}" for tick in Y_TICKS])
    axes.set_xlim(180 * KIB, 900 * MIB)
    axes.set_xlabel("size of a chunk or a part")
    axes.set_ylabel("USD a TB uploaded")
    axes.grid(visible=True, which="major", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right")
