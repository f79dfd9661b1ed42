"""A timetable of rates whose next entry begins while a transfer runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from ferry_client.cli import rate
from ferry_client.cli.rate import Rate
from ferry_client.pacing import RateLimiter

KIB = 1024


class Clock:
    """A clock on the wall, as `rate` reads it."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        """Return the time."""
        return self.time


@pytest.mark.parametrize(
    ("timetable", "start", "waits"),
    [
        ("08:00,1K 18:00,4K", "17:59:59", [0, 1, 1, 0.25]),
        ("08:00,1K 18:00,off", "17:59:59", [0, 1, 0, 0]),
        ("22:00,off 00:00,1K", "23:59:59", [0, 0, 0, 1]),
        ("06:00,1K 22:00,4K", "23:59:59", [0, 0.25, 0.25, 0.25]),
    ],
    ids=["faster", "unlimited", "midnight", "after midnight"],
)
def test_timetable_changes_the_rate_of_a_running_transfer(
    monkeypatch: pytest.MonkeyPatch, timetable: str, start: str, waits: list[float]
) -> None:
    """A block takes its time by the entry of its moment, also over midnight; the next one waits for its end."""
    clock, seconds, slept = Clock(datetime.fromisoformat(f"2026-01-02T{start}")), [0.0], [0.0]
    monkeypatch.setattr(rate, "datetime", clock)
    monkeypatch.setattr("ferry_client.pacing.time", SimpleNamespace(monotonic=lambda: seconds[0]))

    def sleep(duration: float) -> None:
        slept[-1] += duration
        seconds[0] += duration

    limiter = RateLimiter(Rate().convert(timetable, None, None), sleep)
    limiter.take(KIB)
    for _ in waits[1:]:
        slept.append(0.0)
        limiter.take(KIB)
        clock.time += timedelta(seconds=2)
    assert slept == pytest.approx(waits)
