"""Figures in sentences of the documents are those of docs/figures.

The tables of docs/performance.md, docs/growth.md and docs/client-performance.md are written from the same files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from dev.figures import read_figures
from dev.paths import ROOT

SENTENCES: dict[tuple[str, str], Callable[[Any], str]] = {
    ("kill", "docs/local-development.md"): lambda found: (
        "{files} files, {chunks_of_open_uploads} chunks of open uploads and {deletions} deletions were acknowledged"
    ).format(**totals(found["properties"].values(), "acknowledged_")),
    ("listing", "docs/decisions/0011-files.md"): lambda found: (
        f"takes {found['properties'][LISTING][LISTING_MEDIAN]:.0f} ms in the median here"
    ),
    ("protocols", "docs/resumable-protocols.md"): lambda found: (
        f"{found['tus_passed']} of {found['tus_total']} tests pass"
    ),
    ("tus-speed", "docs/resumable-protocols.md"): lambda found: (
        f"Ferry is {found['ferry_to_tus_node_server']} times as fast, the median of nine rounds "
        f"({found['lowest_ratio']} to {found['highest_ratio']};"
    ),
    ("console-upload", "docs/console.md"): lambda found: f"needed at most {found['peak_growth_mb']:.0f} MB more",
    ("client-install", "docs/client-performance.md"): lambda found: (
        f"took {found['seconds']} s. The client and its dependencies take {found['unpacked_mb']} MB. "
        f"`ferry --version` takes {found['version_to_bare_start']} times the bare start"
    ),
    ("layer", "docs/limits.md"): lambda found: (
        f"not reached: {found['arm64']['unpacked_bytes'] / 1e6:.0f} MB (`make verify-layer`)"
    ),
    ("client-kills", "docs/client-performance.md"): lambda found: (
        f"| kills of the client | {found['client_kills']} |\n| kills of the service | {found['service_kills']} |"
    ),
}
"""What a page says, by the name of the figures and the page."""

LISTING = "test_listing_among_many_files_reads_what_it_shows"
LISTING_MEDIAN = "1,000 of the folder's files: median ms"


def totals(parts: Any, prefix: str) -> dict[str, int]:
    """Return the sums of the properties whose names begin with the prefix, without it."""
    sums: dict[str, int] = {}
    for properties in parts:
        for name, value in properties.items():
            if name.startswith(prefix):
                sums[name.removeprefix(prefix)] = sums.get(name.removeprefix(prefix), 0) + value
    return sums


@pytest.mark.parametrize(("figures", "page"), SENTENCES)
def test_sentence_has_figures_of_its_file(figures: str, page: str) -> None:
    """The page has the sentence with the figures that the command wrote last."""
    sentence = SENTENCES[figures, page](read_figures(figures))
    assert sentence in (ROOT / page).read_text(encoding="utf-8"), f"write in {page}: {sentence}"


def test_linked_figures_exist() -> None:
    """Each file of figures that a page names is there."""
    pages = [*(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"figures/([\w-]+)\.json", page.read_text(encoding="utf-8"))}
    assert len(named) > 5
    assert [name for name in sorted(named) if not (ROOT / "docs/figures" / f"{name}.json").exists()] == []
