"""The plan of a load run: its bounds, its requests and its cost, and the confirmation."""

from __future__ import annotations

from typing import Any

import pytest

from dev.bench import load
from dev.bench.errors import BenchError
from dev.bench.load_plan import DataPath, LoadPlan

MIB = 1024 * 1024


def plan(**changes: Any) -> LoadPlan:
    options = {"data_path": DataPath.API, "uploads": 10, "size_bytes": 16 * MIB, "senders": 4, "max_seconds": 60}
    return LoadPlan(**{"url": "https://example.org", **options, **changes})


@pytest.mark.parametrize(
    ("data_path", "size_mib", "requests"),
    [(DataPath.API, 16, 1 + 10 * 6 + 1), (DataPath.DIRECT, 16, 1 + 10 * 3 + 1), (DataPath.PUT, 1, 1 + 10 + 1)],
)
def test_plan_counts_requests_of_its_data_path(data_path: DataPath, size_mib: int, requests: int) -> None:
    """Token, start, chunks or URLs, completion and deletion are counted, and the bytes of all files."""
    found = plan(data_path=data_path, size_bytes=size_mib * MIB)
    assert found.api_requests == requests
    assert found.total_bytes == 10 * size_mib * MIB


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"uploads": 10_001}, "uploads is 10001: give 1 to 10,000"),
        ({"senders": 0}, "senders is 0"),
        ({"max_seconds": 4_000}, "seconds is 4000"),
        ({"url": "example.org"}, "is no address of an API"),
        ({"data_path": DataPath.PUT}, "at most 4 MiB"),
        ({"uploads": 5_000}, "are more than 20 GB"),
        ({"size_bytes": 0}, "below 1 byte"),
    ],
)
def test_plan_beyond_its_bounds_is_rejected(changes: dict[str, Any], message: str) -> None:
    """The error says what to give instead."""
    with pytest.raises(BenchError, match=message):
        plan(**changes)


def test_description_has_bytes_requests_and_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person reads before the start what will be sent, under which names, and what AWS charges for it."""
    monkeypatch.setattr(LoadPlan, "usd", 1.25)
    text = plan(uploads=2, size_bytes=4 * MIB).describe()
    assert "2 uploads of 4,194,304 bytes" in text
    assert "names begin with load-" in text
    assert "AWS charges about 1.2500 USD" in text
    assert "no charge" in plan(url="http://127.0.0.1:3000").describe()


def test_run_without_credentials_or_terminal_is_not_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without credentials nothing is sent; without a terminal and YES=1 neither, and the plan is shown."""
    for name in ("FERRY_CLIENT_ID", "FERRY_CLIENT_SECRET", "YES"):
        monkeypatch.delenv(name, raising=False)
    arguments = ["http://127.0.0.1:9", "--uploads", "2"]
    assert load.main(arguments) == 2
    assert "set FERRY_CLIENT_ID" in capsys.readouterr().err
    monkeypatch.setenv("FERRY_CLIENT_ID", "demo")
    monkeypatch.setenv("FERRY_CLIENT_SECRET", "secret")
    assert load.main(arguments) == 2
    printed = capsys.readouterr().err
    assert "2 uploads of 16,777,216 bytes" in printed
    assert "set YES=1" in printed
