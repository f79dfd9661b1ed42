"""Parse EventBridge's schedules: `rate(value unit)` and `cron(minutes hours day-of-month month day-of-week year)`.

AWS's smallest unit is the minute. Here `rate(5 seconds)` is valid too, so that expiry can be watched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dev.local.errors import LocalError

NextTime = Callable[[datetime], datetime | None]
"""(time) → the first scheduled time after it, or None when there is none. Both are UTC."""

_RATE_PATTERN = re.compile(r"rate\(\s*(\d+)\s+(second|minute|hour|day)s?\s*\)")
_CRON_PATTERN = re.compile(r"cron\((.+)\)")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MAX_LOOKAHEAD = timedelta(days=366 * 5)


def parse(expression: str) -> NextTime:
    """Return the times of an expression. Raises `LocalError` for one that AWS rejects, and for cron's L, W and #."""
    rate = _RATE_PATTERN.fullmatch(expression.strip())
    if rate:
        step = timedelta(**{f"{rate.group(2)}s": int(rate.group(1))})
        if not step:
            raise LocalError(f"schedule {expression!r}: the rate must be at least 1")
        return lambda now: now + step
    cron = _CRON_PATTERN.fullmatch(expression.strip())
    if cron:
        return _parse_cron(expression, cron.group(1).split()).next_time
    raise LocalError(f"schedule {expression!r}: write it as rate(5 minutes) or cron(0 3 * * ? *)")


@dataclass(frozen=True, slots=True)
class _Cron:
    """A cron expression: the values that each field allows."""

    minutes: frozenset[int]
    """0 to 59."""
    hours: frozenset[int]
    """0 to 23, UTC."""
    days: frozenset[int] | None
    """Days of the month, 1 to 31; None for `?`."""
    months: frozenset[int]
    """1 to 12."""
    weekdays: frozenset[int] | None
    """Days of the week, 1 (Sunday) to 7; None for `?`."""
    years: frozenset[int]
    """Four digits each."""

    def next_time(self, now: datetime) -> datetime | None:
        at = now.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        end = at + _MAX_LOOKAHEAD
        while at < end:
            if not self._matches_day(at):
                at = at.replace(hour=0, minute=0) + timedelta(days=1)
            elif at.hour not in self.hours:
                at = at.replace(minute=0) + timedelta(hours=1)
            elif at.minute not in self.minutes:
                at += timedelta(minutes=1)
            else:
                return at
        return None

    def _matches_day(self, at: datetime) -> bool:
        # Cron counts the week from Sunday = 1; Python from Monday = 0.
        weekday = (at.weekday() + 1) % 7 + 1
        return (
            at.year in self.years
            and at.month in self.months
            and (self.days is None or at.day in self.days)
            and (self.weekdays is None or weekday in self.weekdays)
        )


def _parse_cron(expression: str, fields: Sequence[str]) -> _Cron:
    if len(fields) != 6:
        raise LocalError(f"schedule {expression!r} has {len(fields)} fields: cron takes six")
    minutes, hours, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise LocalError(f"schedule {expression!r}: exactly one of day-of-month and day-of-week must be '?'")
    try:
        return _Cron(
            minutes=_parse_field(minutes, 0, 59),
            hours=_parse_field(hours, 0, 23),
            days=None if day == "?" else _parse_field(day, 1, 31),
            months=_parse_field(month, 1, 12, _MONTHS),
            weekdays=None if weekday == "?" else _parse_field(weekday, 1, 7, _DAYS),
            years=_parse_field(year, 1970, 2199),
        )
    except ValueError as error:
        raise LocalError(f"schedule {expression!r}: {error}") from None


def _parse_field(text: str, minimum: int, maximum: int, names: Sequence[str] = ()) -> frozenset[int]:
    """Return the values of a field such as `*`, `0/15`, `1-5` or `MON,WED`."""

    def value(word: str) -> int:
        number = names.index(word.upper()) + 1 if word.upper() in names else int(word)
        if not minimum <= number <= maximum:
            raise ValueError(f"{word} is not from {minimum} to {maximum}")
        return number

    chosen: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, stop = minimum, maximum
        elif dash:
            start, stop = value(first), value(last)
        else:
            start = value(span)
            stop = maximum if slash else start
        stride = int(step) if slash else 1
        if stride < 1:
            raise ValueError(f"the step of {item} must be 1 or more")
        chosen.update(range(start, stop + 1, stride))
    return frozenset(chosen)
