"""The plot of docs/costs.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from dev.bench.cost_page import (
    BY_CHUNK_SIZE,
    PRESIGNED,
    TARGET_API_USD,
    TARGET_PRESIGNED_USD,
    TB,
    TUS_CALLS_PER_CHUNK,
    figures_line,
    format_size,
    plain_presigned_usd_per_tb,
    tus_usd_per_tb,
)
from ferry.rules.layout import KIB, MIB

BLUE, ORANGE, GREEN = "#1f5fa8", "#c2571a", "#2e7d32"
MIN_PARTS = 1_000
"""Parts that a file must have to be drawn: with fewer, what a file costs whatever its size blurs the line."""

TICKS = (256 * KIB, MIB, 4 * MIB, 8 * MIB, 64 * MIB, 528 * MIB)


def draw(path: Path) -> None:
    """Both axes by powers, for the figures lie four orders apart."""
    mpl.rcParams["svg.hashsalt"] = "ferry"
    figure = Figure(figsize=(9, 5.4), layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.set_yscale("log")

    chunks = [case.chunk_size for case in BY_CHUNK_SIZE]
    usd = [case.usd_per_tb for case in BY_CHUNK_SIZE]
    axes.plot(
        chunks,
        usd,
        "o-",
        color=ORANGE,
        label=f"Ferry, chunks through the API (file of {format_size(BY_CHUNK_SIZE[0].size)})",
    )
    s3 = [case.cost.s3 * TB / case.size for case in BY_CHUNK_SIZE]
    axes.plot(chunks, s3, "o:", color=ORANGE, markerfacecolor="white", label="of that, S3 alone")

    direct = {case.layout.part_size: case for case in PRESIGNED if case.layout.part_count >= MIN_PARTS}
    parts = list(direct)
    plain = [plain_presigned_usd_per_tb(size, case.layout.part_count) for size, case in direct.items()]
    axes.plot(
        parts, [case.usd_per_tb for case in direct.values()], "s-", color=BLUE, label="Ferry, parts straight to S3"
    )
    axes.plot(parts, plain, "x", color="black", markersize=9, label="plain presigned parts, S3 alone")
    for size, value, color in [*zip(chunks, usd, [ORANGE] * 3, strict=True)] + [
        (size, case.usd_per_tb, BLUE) for size, case in direct.items()
    ]:
        label = f"{value:.2f}" if value > 1 else f"{value:.3f}"
        axes.annotate(label, (size, value), (8, 7), textcoords="offset points", color=color)

    for size in TUS_CALLS_PER_CHUNK:
        label = "tus-node-server with s3-store, S3 alone: from … to" if size == min(TUS_CALLS_PER_CHUNK) else ""
        axes.vlines(size * 0.87, *tus_usd_per_tb(size), color=GREEN, linewidth=6, alpha=0.5, label=label)
    goals: dict[str, Any] = {"markerfacecolor": "none", "markersize": 11, "linestyle": "none"}
    axes.plot(
        4 * MIB,
        TARGET_API_USD,
        "v",
        color=ORANGE,
        label=f"goals: {TARGET_API_USD:.2f} and {TARGET_PRESIGNED_USD:.2f}",
        **goals,
    )
    axes.plot(64 * MIB, TARGET_PRESIGNED_USD, "v", color=BLUE, **goals)

    axes.set_xticks(TICKS, [format_size(tick) for tick in TICKS])
    axes.set_xticks([], minor=True)
    axes.set_yticks([0.01, 0.1, 1, 10, 100], ["0.01", "0.1", "1", "10", "100"])
    axes.set_xlim(180 * KIB, 900 * MIB)
    axes.set_xlabel("size of a chunk or a part")
    axes.set_ylabel("USD a TB uploaded")
    axes.grid(visible=True, which="major", color="#dddddd")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper right")
    figure.savefig(path, metadata={"Date": None, "Description": figures_line()})
