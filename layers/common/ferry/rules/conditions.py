"""Conditional requests by RFC 9110 section 13, for GET and HEAD of a file that exists. Pure.

Entity tags are opaque strings in quotes; a file's are always strong. Moments are whole seconds since the epoch, as
HTTP dates have no finer ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

# An entity-tag of section 8.8.3; the tag's characters are %x21, %x23-7E and what was sent beyond ASCII.
_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\U0010ffff]*")')
_LIST_END = re.compile(r"[ \t]*(?:,[ \t]*)+|[ \t]*\Z")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_DATES = (
    # The three forms of section 5.6.7, in its order: IMF-fixdate, RFC 850's, and that of C's asctime().
    re.compile(rf"(?:{'|'.join(_DAYS)}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"
    ),
    re.compile(rf"(?:{'|'.join(_DAYS)}) {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PreconditionResult(Enum):
    """What the conditions say of a request: do it, 304, or 412."""

    PROCEED = "proceed"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional headers' values, None where one was not sent; fields of one name joined by commas."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: str | None = None
    if_unmodified_since: str | None = None
    if_range: str | None = None


@dataclass(frozen=True, slots=True)
class Validators:
    """What a file is compared by: its strong tag, quotes included, and its date (seconds).

    `since` is when it came to be what the name stands for, if that was later: a file may be dated by the start of its
    upload, hours before (docs/decisions/0009).
    """

    etag: str
    last_modified_seconds: int
    current_since_seconds: int | None = None

    def unchanged_since(self, epoch_seconds: int) -> bool:
        """Whether who had the file at `date`, or has one of that very date, has this one."""
        return epoch_seconds == self.last_modified_seconds or epoch_seconds > (
            self.last_modified_seconds if self.current_since_seconds is None else self.current_since_seconds
        )


def evaluate_preconditions(conditions: Conditions, current: Validators, now_seconds: int) -> PreconditionResult:
    """The preconditions in the order of section 13.2.2. `now` (seconds) is what two-digit years are read by.

    A date that is none is passed over (sections 13.1.3 and 13.1.4); a list of tags that is none matches nothing,
    which errs on the side of 412 for If-Match and of sending the file for If-None-Match.
    """
    if conditions.if_match is not None:
        if not _matches_etag(conditions.if_match, current.etag, allow_weak=False):
            return PreconditionResult.FAILED
    elif conditions.if_unmodified_since is not None:
        since = parse_http_date(conditions.if_unmodified_since, now_seconds)
        if since is not None and not current.unchanged_since(since):
            return PreconditionResult.FAILED
    if conditions.if_none_match is not None:
        if _matches_etag(conditions.if_none_match, current.etag, allow_weak=True):
            return PreconditionResult.NOT_MODIFIED
    elif conditions.if_modified_since is not None:
        since = parse_http_date(conditions.if_modified_since, now_seconds)
        if since is not None and current.unchanged_since(since):
            return PreconditionResult.NOT_MODIFIED
    return PreconditionResult.PROCEED


def if_range_matches(if_range: str | None, current: Validators, now_seconds: int) -> bool:
    """Whether Range counts beside this If-Range (section 13.1.5): none, the same strong tag, or the very date."""
    if if_range is None:
        return True
    value = if_range.strip(" \t")
    if _TAG.fullmatch(value):
        return value == current.etag
    return parse_http_date(value, now_seconds) == current.last_modified_seconds


def _matches_etag(value: str, etag: str, *, allow_weak: bool) -> bool:
    """Whether `*` or a list of tags names this one; strongly a weak tag names none (section 8.8.3.2)."""
    if value.strip(" \t") == "*":
        return True
    return any(tag == etag and (allow_weak or not weak) for weak, tag in _parse_etags(value))


def _parse_etags(value: str) -> list[tuple[bool, str]]:
    """A list's tags, as (weak, tag in quotes), without its empty members (section 5.6.1.2). Malformed: none at all."""
    tags = []
    at = len(value) - len(value.lstrip(" \t,"))
    while at < len(value):
        tag = _TAG.match(value, at)
        end = _LIST_END.match(value, tag.end()) if tag else None
        if tag is None or end is None:
            return []
        tags.append((tag[1] is not None, tag[2]))
        at = end.end()
    return tags


def parse_http_date(value: str, now_seconds: int) -> int | None:
    """An HTTP-date of section 5.6.7 in seconds since the epoch, or None when it is none.

    A year of two digits that would be over 50 years after `now` is the one a century before.
    """
    for form in _DATES:
        found = form.fullmatch(value.strip(" \t"))
        if found is None:
            continue
        year, month = int(found["year"]), _MONTHS.index(found["month"]) + 1
        day, hour, minute, second = (int(found[part]) for part in ("day", "hour", "minute", "second"))
        try:
            at = datetime(
                _full_year(year, now_seconds) if len(found["year"]) == 2 else year, month, day, hour, minute, tzinfo=UTC
            )
        except ValueError:
            return None
        # A leap second is the 60th, which datetime does not know.
        return _to_epoch_seconds(at) + second if second <= 60 else None
    return None


def format_http_date(epoch_seconds: int) -> str:
    """Seconds since the epoch as an IMF-fixdate (section 5.6.7), in no locale but its own."""
    at = _to_datetime(epoch_seconds)
    return f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04} {at:%H:%M:%S} GMT"


def _full_year(two_digits: int, now_seconds: int) -> int:
    this_year = _to_datetime(now_seconds).year
    year = this_year // 100 * 100 + two_digits
    return year - 100 if year > this_year + 50 else year


def _to_datetime(epoch_seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=epoch_seconds)


def _to_epoch_seconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(seconds=1)
