"""Requests for a file and the responses that RFC 9110 requires: method, headers, status, section.

The integration tests send the cases to the handlers, for files below and above the inline limit; the end-to-end tests
send them over HTTP, where S3 evaluates those for a large file. In headers, `{etag}` and `{modified}` are the file's
own, and `{size}` and `{last}` are its length and its last position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

GET, HEAD = "GET", "HEAD"
WHOLE_FILE = "whole"
EARLIER, LATER = "Sat, 01 Jan 2000 00:00:00 GMT", "Fri, 31 Dec 2049 23:59:59 GMT"
OTHER_ETAG = '"0123456789abcdef0123456789abcdef"'
BEYOND_END = "bytes={size}-"


@dataclass(frozen=True)
class RequestCase:
    """A request for a file, and the response that RFC 9110 requires."""

    section: str
    """The section of RFC 9110."""
    method: str
    """`GET` or `HEAD`."""
    headers: Mapping[str, str]
    """The request's headers, with placeholders."""
    status: int
    """The status of the response."""
    sent_range: str | tuple[str, str] | None = None
    """The bytes of the body: `WHOLE_FILE`, the first and the last position with placeholders, or None for no bytes."""

    def __str__(self) -> str:
        return " ".join([self.section, self.method, *(f"{name}: {value}" for name, value in self.headers.items())])


@dataclass(frozen=True)
class FileRequestCase:
    """A case with the values of one file."""

    case: RequestCase
    """The case."""
    format_values: Mapping[str, object] = field(default_factory=dict)
    """The values of the placeholders."""

    @property
    def headers(self) -> dict[str, str]:
        return {name: value.format(**self.format_values) for name, value in self.case.headers.items()}

    @property
    def byte_range(self) -> tuple[int, int] | None:
        """The first and the last position of the bytes in the body; None for no bytes."""
        if self.case.sent_range is None:
            return None
        first, last = ("0", "{last}") if isinstance(self.case.sent_range, str) else self.case.sent_range
        return int(first.format(**self.format_values)), int(last.format(**self.format_values))


def cases_for_file(cases: list[RequestCase], body: bytes, etag: str, modified: str) -> Iterator[FileRequestCase]:
    values = {"etag": etag, "modified": modified, "size": len(body), "last": len(body) - 1}
    for case in cases:
        yield FileRequestCase(case, values)


def _range_case(value: str, sent_range: tuple[str, str], section: str = "14.1.2") -> RequestCase:
    return RequestCase(section, GET, {"Range": value}, 206, sent_range)


def _ignored_range_case(value: str, section: str = "14.2") -> RequestCase:
    return RequestCase(section, GET, {"Range": value}, 200, WHOLE_FILE)


def _unsatisfiable_case(value: str) -> RequestCase:
    return RequestCase("15.5.17", GET, {"Range": value}, 416)


def _if_range_case(value: str, *, applies: bool) -> RequestCase:
    headers = {"Range": "bytes=5-9", "If-Range": value}
    return (
        RequestCase("13.1.5", GET, headers, 206, ("5", "9"))
        if applies
        else RequestCase("13.1.5", GET, headers, 200, WHOLE_FILE)
    )


RANGE_CASES = [
    _range_case("bytes=0-0", ("0", "0")),
    _range_case("bytes=5-9", ("5", "9")),
    _range_case("bytes=007-009", ("7", "9")),
    _range_case("bytes=0-", ("0", "{last}")),
    _range_case("bytes=1-", ("1", "{last}")),
    _range_case("bytes={last}-", ("{last}", "{last}")),
    _range_case("bytes={last}-{size}", ("{last}", "{last}")),
    _range_case("bytes=0-{size}0", ("0", "{last}")),
    _range_case("bytes=9-99999999999999999999999999", ("9", "{last}")),
    _range_case("bytes=-1", ("{last}", "{last}")),
    _range_case("bytes=-{size}0", ("0", "{last}")),
    _range_case("Bytes=5-9", ("5", "9"), "14.1"),
    _range_case("bytes=5-9,", ("5", "9"), "5.6.1.2"),
    _range_case("bytes= 5-9", ("5", "9"), "5.6.1.2"),
    _ignored_range_case("bytes=0-1,3-4"),
    _ignored_range_case("bytes=0-1, -1"),
    _ignored_range_case("bytes=9-5", "14.1.1"),
    *map(
        _ignored_range_case,
        ("bytes=a-b", "bytes=-", "bytes=", "bytes", "bytes 0-1", "bytes=1-2-3", "bytes=0x1-2", "bytes=--1"),
    ),
    _ignored_range_case("lines=0-1", "14.1"),
    *map(_unsatisfiable_case, (BEYOND_END, "bytes={size}-{size}", "bytes=-0", "bytes=99999999999999999999999999-")),
]
HEAD_CASES = [
    RequestCase("9.3.2", HEAD, {}, 200),
    *(
        RequestCase("14.2", HEAD, {"Range": value}, 200)
        for value in ("bytes=0-0", "bytes=-1", BEYOND_END, "bytes=0-1,3-4")
    ),
    RequestCase("13.1.5", HEAD, {"Range": "bytes=0-0", "If-Range": OTHER_ETAG}, 200),
]
IF_RANGE_CASES = [
    *(_if_range_case(value, applies=True) for value in ("{etag}", "{modified}")),
    *(
        _if_range_case(value, applies=False)
        for value in ("W/{etag}", OTHER_ETAG, EARLIER, LATER, "*", "yesterday", "{etag}, {etag}")
    ),
    RequestCase("13.1.5", GET, {"If-Range": "{etag}"}, 200, WHOLE_FILE),
    RequestCase("13.1.5", GET, {"Range": BEYOND_END, "If-Range": OTHER_ETAG}, 200, WHOLE_FILE),
    RequestCase("13.1.5", GET, {"Range": BEYOND_END, "If-Range": "{etag}"}, 416),
]


def _condition_cases(method: str) -> Iterator[RequestCase]:
    """Yield each condition alone; GET and HEAD have the same 304 and 412."""
    whole = WHOLE_FILE if method == GET else None
    table: list[tuple[str, str, str, int]] = [
        *(("13.1.1", "If-Match", value, 200) for value in ("{etag}", "*", f"{OTHER_ETAG}, {{etag}}")),
        *(("13.1.1", "If-Match", value, 412) for value in (OTHER_ETAG, "W/{etag}", "nonsense")),
        *(
            ("13.1.2", "If-None-Match", value, 304)
            for value in ("{etag}", "W/{etag}", "*", f"{OTHER_ETAG}, W/{{etag}}")
        ),
        *(("13.1.2", "If-None-Match", value, 200) for value in (OTHER_ETAG, "nonsense")),
        *(("13.1.3", "If-Modified-Since", value, 304) for value in ("{modified}", LATER)),
        *(("13.1.3", "If-Modified-Since", value, 200) for value in (EARLIER, "yesterday")),
        *(("13.1.4", "If-Unmodified-Since", value, 200) for value in ("{modified}", LATER, "yesterday")),
        ("13.1.4", "If-Unmodified-Since", EARLIER, 412),
    ]
    for section, name, value, status in table:
        yield RequestCase(section, method, {name: value}, status, whole if status == 200 else None)


PRECEDENCE_CASES = [
    RequestCase("13.2.2", GET, headers, status, sent)
    for headers, status, sent in (
        ({"If-Match": "{etag}", "If-Unmodified-Since": EARLIER}, 200, WHOLE_FILE),
        ({"If-Match": OTHER_ETAG, "If-Unmodified-Since": LATER}, 412, None),
        ({"If-Match": OTHER_ETAG, "If-None-Match": "{etag}"}, 412, None),
        ({"If-Match": "{etag}", "If-None-Match": "{etag}"}, 304, None),
        ({"If-Match": "{etag}", "If-Modified-Since": "{modified}"}, 304, None),
        ({"If-Unmodified-Since": EARLIER, "If-None-Match": "{etag}"}, 412, None),
        ({"If-Unmodified-Since": "{modified}", "If-Modified-Since": "{modified}"}, 304, None),
        ({"If-None-Match": OTHER_ETAG, "If-Modified-Since": "{modified}"}, 200, WHOLE_FILE),
        ({"If-None-Match": "{etag}", "If-Modified-Since": EARLIER}, 304, None),
        ({"If-None-Match": "{etag}", "Range": "bytes=5-9"}, 304, None),
        ({"If-None-Match": "{etag}", "Range": BEYOND_END}, 304, None),
        ({"If-Modified-Since": "{modified}", "Range": "bytes=5-9"}, 304, None),
        ({"If-Match": OTHER_ETAG, "Range": BEYOND_END}, 412, None),
        ({"If-Match": "{etag}", "Range": "bytes=5-9"}, 206, ("5", "9")),
        ({"If-Match": "{etag}", "Range": BEYOND_END}, 416, None),
        ({"If-Match": "{etag}", "Range": "bytes=5-9", "If-Range": OTHER_ETAG}, 200, WHOLE_FILE),
        ({"If-None-Match": OTHER_ETAG, "Range": "bytes=5-9", "If-Range": "{etag}"}, 206, ("5", "9")),
        ({"If-None-Match": "{etag}", "Range": "bytes=5-9", "If-Range": OTHER_ETAG}, 304, None),
    )
]
CASES = [
    RequestCase("15.3.1", GET, {}, 200, WHOLE_FILE),
    *RANGE_CASES,
    *HEAD_CASES,
    *IF_RANGE_CASES,
    *_condition_cases(GET),
    *_condition_cases(HEAD),
    *PRECEDENCE_CASES,
]
"""Cases for a file of at least ten bytes."""

EMPTY_FILE_CASES = [
    RequestCase("15.3.1", GET, {}, 200, WHOLE_FILE),
    RequestCase("9.3.2", HEAD, {}, 200),
    *map(_unsatisfiable_case, ("bytes=0-", "bytes=0-0", "bytes=5-9", "bytes=-0")),
    # Satisfiable, but of no byte, which Content-Range cannot express.
    *(_ignored_range_case(value, "14.1.2") for value in ("bytes=-1", "bytes=-99")),
    *map(_ignored_range_case, ("bytes=1-0", "bytes=0-1,3-4", "nonsense")),
    RequestCase("14.2", HEAD, {"Range": "bytes=0-"}, 200),
    RequestCase("13.1.5", GET, {"Range": "bytes=0-", "If-Range": OTHER_ETAG}, 200, WHOLE_FILE),
    RequestCase("13.1.5", GET, {"Range": "bytes=0-", "If-Range": "{etag}"}, 416),
    *_condition_cases(GET),
    *_condition_cases(HEAD),
]
"""Cases for an empty file."""
