"""docs/costs.md and its plot equal the counted calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.bench import cost_model, cost_page


@pytest.mark.slow
def test_costs_page_is_up_to_date(root: Path) -> None:
    """The page equals the one that the counted calls give; `make docs-costs` writes it."""
    assert cost_page.render_page() == (root / "docs" / "costs.md").read_text(encoding="utf-8")


def test_costs_plot_is_up_to_date(root: Path) -> None:
    """The description in the plot's file holds the figures that it shows."""
    assert cost_model.figures_line() in (root / "docs" / "costs.svg").read_text(encoding="utf-8")
