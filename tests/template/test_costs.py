"""docs/costs.md says what the calls cost that are made today."""

from __future__ import annotations

from pathlib import Path

from bench import costs


def test_the_page_is_what_the_counted_calls_give(root: Path) -> None:
    """After a change of what an operation calls, `make costs` writes it anew."""
    assert costs.page() == (root / "docs" / "costs.md").read_text(encoding="utf-8")


def test_the_plot_is_of_the_same_figures(root: Path) -> None:
    """It tells in its description which figures it was drawn from."""
    assert costs.figures() in (root / "docs" / "costs.svg").read_text(encoding="utf-8")
