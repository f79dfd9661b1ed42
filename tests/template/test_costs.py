"""docs/costs.md and its plot equal the counted calls."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.bench import cost_model, cost_page
from dev.bench.cost_model import BY_CHUNK_SIZE, PRESIGNED, Scenario


@pytest.mark.stress
def test_costs_page_is_up_to_date(root: Path) -> None:
    """The page equals the one that the counted calls give; `make docs-costs` writes it."""
    assert cost_page.render_page() == (root / "docs" / "costs.md").read_text(encoding="utf-8")


@pytest.mark.stress
def test_costs_plot_is_up_to_date(root: Path) -> None:
    """The description in the plot's file holds the figures that it shows."""
    assert cost_model.figures_line() in (root / "docs" / "costs.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "scenario"),
    [("4 MiB", BY_CHUNK_SIZE[-1]), ("16 MiB, 2 of 8 MiB", PRESIGNED[0])],
)
def test_costs_of_small_files_are_up_to_date(root: Path, name: str, scenario: Scenario) -> None:
    """Page and plot have the counted costs of a small file by chunks and of one by presigned URLs."""
    row = f"| {' | '.join(cost_page.cost_row(name, scenario))} |"
    assert row in (root / "docs" / "costs.md").read_text(encoding="utf-8")
    assert f"{scenario.usd_per_tb:.4f}" in (root / "docs" / "costs.svg").read_text(encoding="utf-8")
