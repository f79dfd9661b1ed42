"""Limits of the transfer rate: a number, or a timetable."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

_SIZE_BYTES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
"""Bytes by unit."""

RateAt = Callable[[datetime], int | None]
"""Returns bytes a second at a local time; None: no limit."""


def parse_bytes(text: str) -> int | None:
    """Return a number of bytes such as `500000`, `512K` or `8M`; None if it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt]?)(?:i?b)?", text.lower())
    return int(float(match[1]) * _SIZE_BYTES[match[2]]) if match else None


def parse_rate(text: str) -> RateAt:
    """Return the limit that a text describes. Raises `ValueError`.

    Args:
        text: a rate (`2M`, `off`), or entries `HH:MM,RATE` separated by spaces. Each entry holds until the next one,
            the last one of the day until the first one of the next day.
    """
    if "," not in text:
        rate = _parse_single(text)

        def constant(moment: datetime) -> int | None:
            del moment
            return rate

        return constant
    entries = sorted(_parse_entry(entry) for entry in text.split())
    if len({minute for minute, _ in entries}) < len(entries):
        raise ValueError("a time is there twice")

    def rate_at(moment: datetime) -> int | None:
        now = moment.hour * 60 + moment.minute
        past = [rate for minute, rate in entries if minute <= now]
        return (past[-1] if past else entries[-1][1]) or None

    return rate_at


def _parse_entry(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d),(\S+)", text)
    if match is None:
        raise ValueError(f"{text!r} is no entry of a timetable")
    return int(match[1]) * 60 + int(match[2]), _parse_single(match[3]) or 0


def _parse_single(text: str) -> int | None:
    if text == "off":
        return None
    rate = parse_bytes(text)
    if not rate:
        raise ValueError(f"{text!r} is no rate")
    return rate


class Rate(click.ParamType):
    """A rate or a timetable, as a function that returns the limit of this moment."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Callable[[], int | None]:
        if callable(value):
            function: Callable[[], int | None] = value
            return function
        try:
            rate_at = parse_rate(value)
        except ValueError as error:
            self.fail(f"{error}. Write a rate, e.g. 2M, or a timetable, e.g. '08:00,512K 18:00,off'.", param, ctx)
        return lambda: rate_at(datetime.now())  # noqa: DTZ005 - a timetable is in local time
