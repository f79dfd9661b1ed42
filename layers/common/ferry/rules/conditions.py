"""Conditional requests by RFC 9110 section 13, for GET and HEAD of an existing file.

Entity tags are strings in double quotes; those of files are strong. Times are epoch seconds, the resolution of HTTP
dates. Sections in this module are those of RFC 9110.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\U0010ffff]*")')
"""An entity tag of section 8.8.3. Its characters are %x21, %x23-7E and everything beyond ASCII."""

_LIST_END = re.compile(r"[ \t]*(?:,[ \t]*)+|[ \t]*\Z")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = f"(?P<month>{'|'.join(_MONTHS)})"
_DATES = (
    re.compile(rf"(?:{'|'.join(_DAYS)}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"
    ),
    re.compile(rf"(?:{'|'.join(_DAYS)}) {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)
"""The three forms of section 5.6.7, in its order: IMF-fixdate, RFC 850, asctime()."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PreconditionResult(Enum):
    """The result of a request's preconditions."""

    PROCEED = "proceed"
    """Process the request."""

    NOT_MODIFIED = "not modified"
    """Respond 304."""

    FAILED = "failed"
    """Respond 412."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The values of the conditional headers. None: not sent. Repeated headers are joined by commas."""

    if_match: str | None = None
    """`If-Match` (section 13.1.1)."""

    if_none_match: str | None = None
    """`If-None-Match` (section 13.1.2)."""

    if_modified_since: str | None = None
    """`If-Modified-Since` (section 13.1.3)."""

    if_unmodified_since: str | None = None
    """`If-Unmodified-Since` (section 13.1.4)."""

    if_range: str | None = None
    """`If-Range` (section 13.1.5)."""


@dataclass(frozen=True, slots=True)
class Validators:
    """What conditions compare a file by (section 8.8)."""

    etag: str
    """The strong entity tag, with its quotes."""

    last_modified_seconds: int
    """The file's `Last-Modified`, in epoch seconds."""

    current_since_seconds: int | None = None
    """When the file became current, in epoch seconds; None: at `last_modified_seconds`.

    It can be hours later, because S3 dates an object by the start of its upload (docs/decisions/0009).
    """

    other_etag: str | None = None
    """Another strong entity tag of the file, which requests that change it may name; None for none."""

    def unchanged_since(self, epoch_seconds: int) -> bool:
        """Return whether a copy obtained at this time, or with exactly this `Last-Modified`, is this file."""
        return epoch_seconds == self.last_modified_seconds or epoch_seconds > (
            self.last_modified_seconds if self.current_since_seconds is None else self.current_since_seconds
        )


def evaluate_preconditions(conditions: Conditions, current: Validators, now_seconds: int) -> PreconditionResult:
    """Evaluate the preconditions in the order of section 13.2.2.

    An invalid date is ignored (sections 13.1.3 and 13.1.4). An invalid list of tags matches nothing: If-Match then
    fails, and If-None-Match sends the file. `now_seconds` resolves two-digit years.
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


def allows_change(conditions: Conditions, current: Validators | None, now_seconds: int) -> bool:
    """Return whether a request may change the resource; `current` None: there is none.

    A matching If-None-Match forbids the change, and so does an invalid one; If-Modified-Since has no effect
    (sections 13.1.2 and 13.1.3).
    Without a file, If-Match fails and If-Unmodified-Since is ignored (sections 13.1.1 and 13.1.4).
    """
    if current is None:
        return conditions.if_match is None
    etags = [etag for etag in (current.etag, current.other_etag) if etag is not None]
    if conditions.if_match is not None:
        if not any(_matches_etag(conditions.if_match, etag, allow_weak=False) for etag in etags):
            return False
    elif conditions.if_unmodified_since is not None:
        since = parse_http_date(conditions.if_unmodified_since, now_seconds)
        if since is not None and not current.unchanged_since(since):
            return False
    none_match = conditions.if_none_match
    if none_match is None:
        return True
    # An invalid list shows that the client meant to forbid the change under some condition. So it is rejected.
    is_valid = none_match.strip(" \t") == "*" or bool(_parse_etags(none_match))
    return is_valid and not any(_matches_etag(none_match, etag, allow_weak=True) for etag in etags)


def if_range_matches(if_range: str | None, current: Validators, now_seconds: int) -> bool:
    """Return whether the Range header applies (section 13.1.5): without If-Range, or if its tag or date is equal."""
    if if_range is None:
        return True
    value = if_range.strip(" \t")
    if _TAG.fullmatch(value):
        return value == current.etag
    return parse_http_date(value, now_seconds) == current.last_modified_seconds


def _matches_etag(value: str, etag: str, *, allow_weak: bool) -> bool:
    """Return whether `*` or a list of tags matches; weak tags match only if allowed (section 8.8.3.2)."""
    if value.strip(" \t") == "*":
        return True
    return any(tag == etag and (allow_weak or not weak) for weak, tag in _parse_etags(value))


def _parse_etags(value: str) -> list[tuple[bool, str]]:
    """Return a list's tags as (weak, tag in quotes), without empty members (section 5.6.1.2); [] if it is invalid."""
    tags = []
    position = len(value) - len(value.lstrip(" \t,"))
    while position < len(value):
        tag = _TAG.match(value, position)
        end = _LIST_END.match(value, tag.end()) if tag else None
        if tag is None or end is None:
            return []
        tags.append((tag[1] is not None, tag[2]))
        position = end.end()
    return tags


def parse_http_date(value: str, now_seconds: int) -> int | None:
    """Return an HTTP-date of section 5.6.7 in epoch seconds, or None if it is invalid.

    A two-digit year that would be more than 50 years after `now_seconds` is in the century before.
    """
    for form in _DATES:
        found = form.fullmatch(value.strip(" \t"))
        if found is None:
            continue
        year, month = int(found["year"]), _MONTHS.index(found["month"]) + 1
        day, hour, minute, second = (int(found[part]) for part in ("day", "hour", "minute", "second"))
        try:
            minute_start = datetime(
                _full_year(year, now_seconds) if len(found["year"]) == 2 else year, month, day, hour, minute, tzinfo=UTC
            )
        except ValueError:
            return None
        # `datetime` rejects second 60, a leap second.
        return _to_epoch_seconds(minute_start) + second if second <= 60 else None
    return None


def format_http_date(epoch_seconds: int) -> str:
    """Return epoch seconds as an IMF-fixdate (section 5.6.7), independent of the locale."""
    time = _to_datetime(epoch_seconds)
    return f"{_DAYS[time.weekday()]}, {time.day:02} {_MONTHS[time.month - 1]} {time.year:04} {time:%H:%M:%S} GMT"


def _full_year(two_digits: int, now_seconds: int) -> int:
    this_year = _to_datetime(now_seconds).year
    year = this_year // 100 * 100 + two_digits
    return year - 100 if year > this_year + 50 else year


def _to_datetime(epoch_seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=epoch_seconds)


def _to_epoch_seconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(seconds=1)
