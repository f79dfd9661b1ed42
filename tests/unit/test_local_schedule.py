"""Schedule expressions of EventBridge, as the local service reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dev.local.errors import LocalError
from dev.local.schedule import parse

NOW = datetime(2026, 2, 27, 23, 58, 30, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("expression", "step"),
    [
        ("rate(5 minutes)", timedelta(minutes=5)),
        ("rate(1 minute)", timedelta(minutes=1)),
        ("rate(2 seconds)", timedelta(seconds=2)),
        ("rate(3 hours)", timedelta(hours=3)),
        ("rate(1 day)", timedelta(days=1)),
    ],
)
def test_parse_rate_returns_next_time(expression: str, step: timedelta) -> None:
    """The next time is one period after the last one. Seconds are allowed here."""
    assert parse(expression)(NOW) == NOW + step


@pytest.mark.parametrize(
    ("expression", "next_time"),
    [
        ("cron(0 3 * * ? *)", datetime(2026, 2, 28, 3, 0, tzinfo=UTC)),
        ("cron(0/15 * * * ? *)", datetime(2026, 2, 28, 0, 0, tzinfo=UTC)),
        ("cron(59 23 * * ? *)", datetime(2026, 2, 27, 23, 59, tzinfo=UTC)),
        ("cron(30 8 ? * MON-WED *)", datetime(2026, 3, 2, 8, 30, tzinfo=UTC)),
        ("cron(30 8 ? * 7 *)", datetime(2026, 2, 28, 8, 30, tzinfo=UTC)),
        ("cron(0 0 1,15 * ? *)", datetime(2026, 3, 1, 0, 0, tzinfo=UTC)),
        ("cron(0 0 29 FEB ? *)", datetime(2028, 2, 29, 0, 0, tzinfo=UTC)),
        ("cron(0 0 1 1 ? 2020)", None),
    ],
)
def test_parse_cron_returns_next_time(expression: str, next_time: datetime | None) -> None:
    """The next time is the next minute that all six fields allow, with Sunday as day 1 of the week."""
    assert parse(expression)(NOW) == next_time


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "rate(5)",
        "rate(0 minutes)",
        "every 5 minutes",
        "cron(0 3 * * *)",
        "cron(0 3 * * * *)",
        "cron(0 3 ? * ? *)",
        "cron(60 3 * * ? *)",
        "cron(0 3 L * ? *)",
        "cron(0/0 3 * * ? *)",
    ],
)
def test_parse_invalid_expression_raises(expression: str) -> None:
    """An expression that AWS rejects, or that is not supported here, raises an error."""
    with pytest.raises(LocalError):
        parse(expression)
