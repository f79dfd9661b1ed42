"""docs/costs.md and its plot equal the counted calls."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev.bench import cost_model, cost_page
from dev.bench.cost_model import (
    API_SCENARIO,
    ASSUMED_CHUNK_SECONDS,
    BY_CHUNK_SIZE,
    BY_FILE_SIZE,
    PRESIGNED,
    PRESIGNED_SCENARIO,
    PRICES,
    Scenario,
)
from dev.figures import read_figures
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


def test_time_of_a_chunk_is_measured() -> None:
    """The time of a chunk is that of the benchmark of the API, on the model of AWS's network."""
    assert cost_model.measured_chunk_seconds() > 0
    assert read_figures("api")["network_description"].startswith("Network model aws")


def test_function_url_has_no_fee_and_few_logs() -> None:
    """By the function URL a chunk pays no gateway and writes its metrics alone; all else is the same."""
    by_api, by_url = (Scenario(4 * MIB, function_url=url, chunk_seconds=0.1).cost for url in (False, True))
    other_requests = Scenario(4 * MIB).usage.requests - 1
    assert by_url.gateway == pytest.approx(other_requests * PRICES.gateway_step)
    assert by_url.gateway < by_api.gateway
    assert by_url.logs < by_api.logs
    same = ("s3", "dynamodb", "lambda_requests", "lambda_duration", "events")
    assert all(getattr(by_url, name) == getattr(by_api, name) for name in same)


def test_storage_in_tiers_is_cheaper_for_what_stays() -> None:
    """Tiers cost the same for a month, apart from the monitoring of objects, and a third of it for a year."""
    assert cost_model.tiering_storage_usd(30, 10**9) == pytest.approx(cost_model.standard_storage_usd(30), rel=1e-3)
    assert cost_model.tiering_storage_usd(365, 10**9) < 0.4 * cost_model.standard_storage_usd(365)


def test_chunk_writes_two_short_lines() -> None:
    """A chunk by the API writes the line of its function and that of the access log, by the function URL the first
    alone. A longer line costs 0.12 USD a PB for each byte.
    """
    lengths = [cost_model.response_line_bytes(), cost_model.log_bytes_per_request()]
    assert lengths[0] <= 385
    assert lengths[1] <= 600


def test_memory_of_function_makes_chunk_longer_and_cheaper() -> None:
    """With less memory a chunk takes longer, because it has less of a core, and costs less, because it mostly waits."""
    sizes = cost_model.CHUNK_MEMORIES_MB
    seconds = [cost_model.billed_chunk_seconds(size) for size in sizes]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[-1] == cost_model.measured_chunk_seconds()
    costs = [Scenario(4 * MIB, memory_mb=size).cost.lambda_duration for size in sizes]
    assert costs == sorted(costs)


def test_events_of_a_file_are_counted() -> None:
    """An upload publishes its start and its completion, on either path."""
    for scenario in (BY_FILE_SIZE[0], PRESIGNED[0]):
        assert scenario.usage.events == 2
        assert scenario.cost.events == 2 * PRICES.event


def test_whole_file_of_4_mib_is_within_goal() -> None:
    """A file of 4 MiB in one request costs what the goal allows: one S3 call, three to DynamoDB, one event."""
    new, replaced = cost_model.WHOLE[2:]
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
    scenarios = (Scenario(size, chunk_seconds=ASSUMED_CHUNK_SECONDS), Scenario(size, presigned=True))
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
    """The README has the costs of the page, with 150 ms for a chunk."""
    assumed = replace(API_SCENARIO, chunk_seconds=ASSUMED_CHUNK_SECONDS)
    api, parts = (f"{scenario.usd_per_tb:.2f}" for scenario in (assumed, PRESIGNED_SCENARIO))
    assert f"| ${api} in chunks of 4 MiB | ${parts} in parts of 64 MiB |" in (root / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "scenario"),
    [("4 MiB", BY_CHUNK_SIZE[-1]), ("16 MiB, 2 of 8 MiB", PRESIGNED[0])],
)
def test_costs_of_small_files_are_up_to_date(
    root: Path, name: str, scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page and plot have the counted costs of a small file by chunks and of one by presigned URLs.

    With the time of a chunk that the page has: a new measurement needs `make docs-costs`, which a stress test says.
    """
    page = (root / "docs" / "costs.md").read_text(encoding="utf-8")
    stated = re.search(r"this page counts ([0-9,]+) ms for a chunk", page)
    assert stated is not None
    stated_seconds = int(stated[1].replace(",", "")) / 1_000
    monkeypatch.setattr(cost_model, "billed_chunk_seconds", lambda _: stated_seconds)
    row = f"| {' | '.join(cost_page.cost_row(name, scenario))} |"
    assert row in (root / "docs" / "costs.md").read_text(encoding="utf-8")
    assert f"{scenario.usd_per_tb:.4f}" in (root / "docs" / "costs.svg").read_text(encoding="utf-8")
