"""docs/costs.md says what the calls cost that are made today."""

from __future__ import annotations

from pathlib import Path

from dev.bench import cost_page


def test_costs_page_is_up_to_date(root: Path) -> None:
    """After a change of what an operation calls, `make docs-costs` writes it anew."""
    assert cost_page.render_page() == (root / "docs" / "costs.md").read_text(encoding="utf-8")


def test_costs_plot_is_up_to_date(root: Path) -> None:
    """It tells in its description which figures it was drawn from."""
    assert cost_page.figures_line() in (root / "docs" / "costs.svg").read_text(encoding="utf-8")
