"""Requests for a file and what RFC 9110 makes of them: method, headers, answer, section.

The same rows are asked of the handlers, for files on either side of what is sent inline, and over HTTP, where S3 has
the last word on a large file. In headers `{etag}` and `{modified}` are the file's own, `{size}` and `{last}` its length
and its last position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

GET, HEAD = "GET", "HEAD"
WHOLE = "whole"
EARLIER, LATER = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 31 Dec 2049 23:59:59 GMT"
OTHER = '"0123456789abcdef0123456789abcdef"'
BEYOND = "bytes={size}-"


@dataclass(frozen=True)
class Row:
    """`sent` is what of the file comes: all, the bytes from one position to another (formats as above), or none."""

    section: str
    method: str
    headers: Mapping[str, str]
    status: int
    sent: str | tuple[str, str] | None = None

    def __str__(self) -> str:
        return " ".join([self.section, self.method, *(f"{name}: {value}" for name, value in self.headers.items())])


@dataclass(frozen=True)
class Asked:
    """A row for one file."""

    row: Row
    facts: Mapping[str, object] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        return {name: value.format(**self.facts) for name, value in self.row.headers.items()}

    @property
    def span(self) -> tuple[int, int] | None:
        """The first and the last position of what is sent."""
        if self.row.sent is None:
            return None
        first, last = ("0", "{last}") if isinstance(self.row.sent, str) else self.row.sent
        return int(first.format(**self.facts)), int(last.format(**self.facts))


def asked(rows: list[Row], body: bytes, etag: str, modified: str) -> Iterator[Asked]:
    facts = {"etag": etag, "modified": modified, "size": len(body), "last": len(body) - 1}
    for row in rows:
        yield Asked(row, facts)


def _range(value: str, sent: tuple[str, str], section: str = "14.1.2") -> Row:
    return Row(section, GET, {"Range": value}, 206, sent)


def _ignored(value: str, section: str = "14.2") -> Row:
    return Row(section, GET, {"Range": value}, 200, WHOLE)


def _beyond(value: str) -> Row:
    return Row("15.5.17", GET, {"Range": value}, 416)


def _if_range(value: str, *, applies: bool) -> Row:
    headers = {"Range": "bytes=5-9", "If-Range": value}
    return Row("13.1.5", GET, headers, 206, ("5", "9")) if applies else Row("13.1.5", GET, headers, 200, WHOLE)


RANGES = [
    _range("bytes=0-0", ("0", "0")),
    _range("bytes=5-9", ("5", "9")),
    _range("bytes=007-009", ("7", "9")),
    _range("bytes=0-", ("0", "{last}")),
    _range("bytes=1-", ("1", "{last}")),
    _range("bytes={last}-", ("{last}", "{last}")),
    _range("bytes={last}-{size}", ("{last}", "{last}")),
    _range("bytes=0-{size}0", ("0", "{last}")),
    _range("bytes=9-99999999999999999999999999", ("9", "{last}")),
    _range("bytes=-1", ("{last}", "{last}")),
    _range("bytes=-{size}0", ("0", "{last}")),
    _range("Bytes=5-9", ("5", "9"), "14.1"),
    _range("bytes=5-9,", ("5", "9"), "5.6.1.2"),
    _range("bytes= 5-9", ("5", "9"), "5.6.1.2"),
    _ignored("bytes=0-1,3-4"),
    _ignored("bytes=0-1, -1"),
    _ignored("bytes=9-5", "14.1.1"),
    *map(_ignored, ("bytes=a-b", "bytes=-", "bytes=", "bytes", "bytes 0-1", "bytes=1-2-3", "bytes=0x1-2", "bytes=--1")),
    _ignored("lines=0-1", "14.1"),
    *map(_beyond, (BEYOND, "bytes={size}-{size}", "bytes=-0", "bytes=99999999999999999999999999-")),
]
HEADS = [
    Row("9.3.2", HEAD, {}, 200),
    *(Row("14.2", HEAD, {"Range": value}, 200) for value in ("bytes=0-0", "bytes=-1", BEYOND, "bytes=0-1,3-4")),
    Row("13.1.5", HEAD, {"Range": "bytes=0-0", "If-Range": OTHER}, 200),
]
IF_RANGE = [
    *(_if_range(value, applies=True) for value in ("{etag}", "{modified}")),
    *(
        _if_range(value, applies=False)
        for value in ("W/{etag}", OTHER, EARLIER, LATER, "*", "yesterday", "{etag}, {etag}")
    ),
    Row("13.1.5", GET, {"If-Range": "{etag}"}, 200, WHOLE),
    Row("13.1.5", GET, {"Range": BEYOND, "If-Range": OTHER}, 200, WHOLE),
    Row("13.1.5", GET, {"Range": BEYOND, "If-Range": "{etag}"}, 416),
]


def _conditions(method: str) -> Iterator[Row]:
    """Every condition by itself: 304 and 412 are the same for both methods."""
    whole = WHOLE if method == GET else None
    table: list[tuple[str, str, str, int]] = [
        *(("13.1.1", "If-Match", value, 200) for value in ("{etag}", "*", f"{OTHER}, {{etag}}")),
        *(("13.1.1", "If-Match", value, 412) for value in (OTHER, "W/{etag}", "nonsense")),
        *(("13.1.2", "If-None-Match", value, 304) for value in ("{etag}", "W/{etag}", "*", f"{OTHER}, W/{{etag}}")),
        *(("13.1.2", "If-None-Match", value, 200) for value in (OTHER, "nonsense")),
        *(("13.1.3", "If-Modified-Since", value, 304) for value in ("{modified}", LATER)),
        *(("13.1.3", "If-Modified-Since", value, 200) for value in (EARLIER, "yesterday")),
        *(("13.1.4", "If-Unmodified-Since", value, 200) for value in ("{modified}", LATER, "yesterday")),
        ("13.1.4", "If-Unmodified-Since", EARLIER, 412),
    ]
    for section, name, value, status in table:
        yield Row(section, method, {name: value}, status, whole if status == 200 else None)


PRECEDENCE = [
    Row("13.2.2", GET, headers, status, sent)
    for headers, status, sent in (
        ({"If-Match": "{etag}", "If-Unmodified-Since": EARLIER}, 200, WHOLE),
        ({"If-Match": OTHER, "If-Unmodified-Since": LATER}, 412, None),
        ({"If-Match": OTHER, "If-None-Match": "{etag}"}, 412, None),
        ({"If-Match": "{etag}", "If-None-Match": "{etag}"}, 304, None),
        ({"If-Match": "{etag}", "If-Modified-Since": "{modified}"}, 304, None),
        ({"If-Unmodified-Since": EARLIER, "If-None-Match": "{etag}"}, 412, None),
        ({"If-Unmodified-Since": "{modified}", "If-Modified-Since": "{modified}"}, 304, None),
        ({"If-None-Match": OTHER, "If-Modified-Since": "{modified}"}, 200, WHOLE),
        ({"If-None-Match": "{etag}", "If-Modified-Since": EARLIER}, 304, None),
        ({"If-None-Match": "{etag}", "Range": "bytes=5-9"}, 304, None),
        ({"If-None-Match": "{etag}", "Range": BEYOND}, 304, None),
        ({"If-Modified-Since": "{modified}", "Range": "bytes=5-9"}, 304, None),
        ({"If-Match": OTHER, "Range": BEYOND}, 412, None),
        ({"If-Match": "{etag}", "Range": "bytes=5-9"}, 206, ("5", "9")),
        ({"If-Match": "{etag}", "Range": BEYOND}, 416, None),
        ({"If-Match": "{etag}", "Range": "bytes=5-9", "If-Range": OTHER}, 200, WHOLE),
        ({"If-None-Match": OTHER, "Range": "bytes=5-9", "If-Range": "{etag}"}, 206, ("5", "9")),
        ({"If-None-Match": "{etag}", "Range": "bytes=5-9", "If-Range": OTHER}, 304, None),
    )
]
ROWS = [
    Row("15.3.1", GET, {}, 200, WHOLE),
    *RANGES,
    *HEADS,
    *IF_RANGE,
    *_conditions(GET),
    *_conditions(HEAD),
    *PRECEDENCE,
]
"""For a file of at least ten bytes."""

EMPTY_ROWS = [
    Row("15.3.1", GET, {}, 200, WHOLE),
    Row("9.3.2", HEAD, {}, 200),
    *map(_beyond, ("bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-0")),
    # Satisfiable, with no byte, which no Content-Range can say.
    *(_ignored(value, "14.1.2") for value in ("bytes=-1", "bytes=-99")),
    *map(_ignored, ("bytes=1-0", "bytes=0-1,3-4", "nonsense")),
    Row("14.2", HEAD, {"Range": "bytes=0-"}, 200),
    Row("13.1.5", GET, {"Range": "bytes=0-", "If-Range": OTHER}, 200, WHOLE),
    Row("13.1.5", GET, {"Range": "bytes=0-", "If-Range": "{etag}"}, 416),
    *_conditions(GET),
    *_conditions(HEAD),
]
"""For an empty one."""
