"""RFC 9110 by the table, at the handlers: answers, headers, and what each costs in calls to AWS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.endpoint import Endpoint

from ferry.downloads import MAX_INLINE
from tests.integration.stack import Result, Stack
from tests.support.requests_table import EMPTY_ROWS, GET, ROWS, Asked, Row, asked

ROUTES = ["/download/{filename}", "/download/partial/{filename}"]
Check = Callable[[str, str, Row], None]
VALIDATORS = {"etag", "last-modified", "cache-control"}
REPRESENTATION = VALIDATORS | {
    *("accept-ranges", "content-type", "content-length", "content-disposition", "repr-digest"),
    *("content-security-policy", "x-content-type-options"),
}


@dataclass(frozen=True)
class Kept:
    """A file in the service."""

    name: str
    body: bytes
    etag: str
    modified: str


@pytest.fixture(scope="module")
def files(stack: Stack) -> dict[str, Kept]:
    """None, a few, and more bytes than are sent inline."""
    found = {}
    for name, size in {"empty": 0, "small": 1_000, "large": MAX_INLINE + 1_000}.items():
        body = bytes(position % 251 for position in range(size))
        stack.upload(name, body)
        head = stack.call("HEAD /download/{filename}", filename=name).headers
        found[name] = Kept(name, body, head["etag"], head["last-modified"])
    return found


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to AWS, signing not counted, by the operations' names."""
    sent: list[str] = []
    send = Endpoint.make_request

    def counted(endpoint: Endpoint, operation: Any, request: Any) -> Any:
        sent.append(operation.name)
        return send(endpoint, operation, request)

    monkeypatch.setattr(Endpoint, "make_request", counted)
    return sent


@pytest.fixture
def check(stack: Stack, files: dict[str, Kept], calls: list[str]) -> Check:
    """Ask for a file, by its name, and compare."""

    def check(name: str, route: str, row: Row) -> None:
        file = files[name]
        [request] = list(asked([row], file.body, file.etag, file.modified))
        headers = {name.lower(): value for name, value in request.headers.items()}
        calls.clear()
        answer = stack.call(f"{row.method} {route}", filename=name, headers=headers)
        span = request.span
        length = span[1] - span[0] + 1 if span else 0
        if length > MAX_INLINE:
            check_redirect(answer, file)
        else:
            check_inline(answer, file, request)
        assert calls == (["GetItem", "GetObject"] if 0 < length <= MAX_INLINE else ["GetItem"])

    return check


def check_redirect(answer: Result, file: Kept) -> None:
    assert (answer.status, answer.body) == (307, b"")
    assert answer.headers["cache-control"] == "private, no-store"
    assert (answer.headers["etag"], answer.headers["last-modified"]) == (file.etag, file.modified)


def check_inline(answer: Result, file: Kept, request: Asked) -> None:
    row, span, size = request.row, request.span, len(file.body)
    assert answer.status == row.status, answer.body
    if row.status in (200, 206, 304):
        names = (
            VALIDATORS if row.status == 304 else REPRESENTATION | ({"content-range"} if row.status == 206 else set())
        )
        assert answer.headers.keys() - {"x-request-id"} == names
        assert (answer.headers["etag"], answer.headers["last-modified"]) == (file.etag, file.modified)
    if span is not None:
        assert answer.body == file.body[span[0] : span[1] + 1]
        assert answer.headers["content-length"] == str(len(answer.body))
    elif row.method != GET or row.status == 304:
        assert answer.body == b""
    if row.method != GET and row.status == 200:
        assert answer.headers["content-length"] == str(size)
    if row.status == 206 and span is not None:
        assert answer.headers["content-range"] == f"bytes {span[0]}-{span[1]}/{size}"
    if row.status == 416:
        assert (answer.code, answer.headers["content-range"]) == ("range_not_satisfiable", f"bytes */{size}")
    if row.status == 412 and row.method == GET:
        assert answer.code == "precondition_failed"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("name", ["small", "large"])
def test_a_row(check: Check, name: str, row: Row, route: str) -> None:
    """The answer of the section, on both routes; one read of the ledger, and one of S3 only for bytes sent inline."""
    check(name, route, row)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("row", EMPTY_ROWS, ids=str)
def test_a_row_for_an_empty_file(check: Check, row: Row, route: str) -> None:
    """As for any other; and S3 is never asked for nothing."""
    check("empty", route, row)
