"""docs/costs.md and its plot equal the counted calls."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dev.bench import cost_model, cost_page
from dev.bench.cost_model import (
    API_SCENARIO,
    BY_CHUNK_SIZE,
    BY_FILE_SIZE,
    LOG_BYTES_PER_REQUEST,
    PRESIGNED,
    PRESIGNED_SCENARIO,
    PRICES,
    Scenario,
)
from ferry.rules.layout import MIB


@pytest.mark.stress
def test_costs_page_is_up_to_date(root: Path) -> None:
    """The page equals the one that the counted calls give; `make docs-costs` writes it."""
    assert cost_page.render_page() == (root / "docs" / "costs.md").read_text(encoding="utf-8")


@pytest.mark.stress
def test_costs_plot_is_up_to_date(root: Path) -> None:
    """The description in the plot's file holds the figures that it shows."""
    assert cost_model.figures_line() in (root / "docs" / "costs.svg").read_text(encoding="utf-8")


def test_lambda_time_has_price_of_architecture(template: Any) -> None:
    """Lambda time is priced for the architecture that the template deploys; arm64 costs a fifth less than x86_64."""
    default = template["Parameters"]["Architecture"]["Default"]
    small = {each: Scenario(4 * MIB, architecture=each).cost for each in ("", "arm64", "x86_64")}
    assert small[""] == small[default]
    assert small["arm64"].lambda_duration == pytest.approx(small["x86_64"].lambda_duration * 0.8, rel=1e-4)
    assert set(PRICES.lambda_gb_second) == set(template["Parameters"]["Architecture"]["AllowedValues"])


def test_access_log_line_has_counted_size(template: Any) -> None:
    """A line of the access log is as long as the model assumes."""
    line = template["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"]
    values = {
        "requestId": "JKJaXmPLvHcESHA=",
        "requestTimeEpoch": "1764161000000",
        "identity.sourceIp": "203.0.113.200",
        "routeKey": "POST /upload/chunk",
        "protocol": "HTTP/1.1",
        "status": "200",
        "responseLength": "211",
        "responseLatency": "262",
        "integrationLatency": "258",
        "integration.status": "200",
        "error.responseType": "-",
    }
    for name in sorted(values, key=len, reverse=True):
        line = line.replace(f"$context.{name}", values[name])
    assert "$" not in line
    assert len(json.dumps(json.loads(line), separators=(",", ":"))) == pytest.approx(
        LOG_BYTES_PER_REQUEST["access log"], rel=0.15
    )


def test_events_of_a_file_are_counted() -> None:
    """An upload publishes its start and its completion, on either path."""
    for scenario in (BY_FILE_SIZE[0], PRESIGNED[0]):
        assert scenario.usage.events == 2
        assert scenario.cost.events == 2 * PRICES.event


def test_whole_file_of_4_mib_is_within_goal() -> None:
    """A file of 4 MiB in one request costs what the goal allows: one S3 call, three to DynamoDB, one event."""
    new, replaced = (Scenario(4 * MIB, whole=True, replaces=replaces) for replaces in (False, True))
    assert new.usd_per_tb <= cost_model.TARGET_PUT_USD
    usage = new.usage
    assert (usage.puts, usage.gets, usage.dynamodb_calls, usage.requests, usage.events) == (1, 0, 3, 1, 1)
    assert (replaced.usage.puts, replaced.usage.events) == (1, 1)


def test_costs_of_whole_files_are_up_to_date(root: Path) -> None:
    """The page has the counted costs of files that one request stores whole."""
    page = (root / "docs" / "costs.md").read_text(encoding="utf-8")
    for scenario in cost_model.WHOLE:
        assert f"| {' | '.join(cost_page.whole_row(scenario))} |" in page


def example_costs(size: int) -> str:
    """Return the cells of docs/limits.md with the costs of 100 TB a day in files of this size, by both paths."""
    scenarios = (Scenario(size), Scenario(size, presigned=True))
    return " | ".join(f"${scenario.usd_per_tb * 100:,.0f}" for scenario in scenarios)


def test_example_in_limits_has_counted_costs(root: Path) -> None:
    """The example of a million devices has the costs and units of the model for files of 10 MB."""
    page = (root / "docs" / "limits.md").read_text(encoding="utf-8")
    assert f"| 100 TB in files of 10 MB | {example_costs(10_000_000)} |" in page
    chunks, parts = Scenario(10_000_000).usage, Scenario(10_000_000, presigned=True).usage
    assert f"{chunks.write_units} or {parts.write_units} write units" in page
    assert f"| DynamoDB write units ({chunks.write_units} per file) |" in page
    assert f"| S3 writes ({chunks.puts} per file) |" in page


@pytest.mark.stress
def test_example_in_limits_has_counted_costs_of_large_files(root: Path) -> None:
    """The example has the costs of the model for files of 10 GB."""
    page = (root / "docs" / "limits.md").read_text(encoding="utf-8")
    assert f"| 100 TB in files of 10 GB | {example_costs(10_000_000_000)} |" in page


@pytest.mark.stress
def test_readme_has_counted_costs(root: Path) -> None:
    """The README has the costs of the page."""
    api, parts = (f"{scenario.usd_per_tb:.2f}" for scenario in (API_SCENARIO, PRESIGNED_SCENARIO))
    assert f"| ${api} in chunks of 4 MiB | ${parts} in parts of 64 MiB |" in (root / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "scenario"),
    [("4 MiB", BY_CHUNK_SIZE[-1]), ("16 MiB, 2 of 8 MiB", PRESIGNED[0])],
)
def test_costs_of_small_files_are_up_to_date(root: Path, name: str, scenario: Scenario) -> None:
    """Page and plot have the counted costs of a small file by chunks and of one by presigned URLs."""
    row = f"| {' | '.join(cost_page.cost_row(name, scenario))} |"
    assert row in (root / "docs" / "costs.md").read_text(encoding="utf-8")
    assert f"{scenario.usd_per_tb:.4f}" in (root / "docs" / "costs.svg").read_text(encoding="utf-8")
