"""RFC 9110 by the table, at the handlers: answers, headers, and what each costs in calls to AWS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.endpoint import Endpoint

from ferry.downloads.download import MAX_INLINE_BYTES
from tests.integration.stack import Result, Stack
from tests.support.requests_table import CASES, EMPTY_FILE_CASES, GET, FileRequestCase, RequestCase, cases_for_file

ROUTES = ["/download/{filename}", "/download/partial/{filename}"]
RowCheck = Callable[[str, str, RequestCase], None]
VALIDATOR_HEADERS = {"etag", "last-modified", "cache-control"}
REPRESENTATION_HEADERS = VALIDATOR_HEADERS | {
    *("accept-ranges", "content-type", "content-length", "content-disposition", "repr-digest"),
    *("content-security-policy", "x-content-type-options"),
}


@dataclass(frozen=True)
class StoredFile:
    """A file in the service."""

    name: str
    body: bytes
    etag: str
    last_modified: str


@pytest.fixture(scope="module")
def files(stack: Stack) -> dict[str, StoredFile]:
    """None, a few, and more bytes than are sent inline."""
    found = {}
    for name, size in {"empty": 0, "small": 1_000, "large": MAX_INLINE_BYTES + 1_000}.items():
        body = bytes(position % 251 for position in range(size))
        stack.upload(name, body)
        head = stack.request("HEAD /download/{filename}", filename=name).headers
        found[name] = StoredFile(name, body, head["etag"], head["last-modified"])
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
def check(stack: Stack, files: dict[str, StoredFile], calls: list[str]) -> RowCheck:
    """Ask for a file, by its name, and compare."""

    def check(name: str, route: str, row: RequestCase) -> None:
        file = files[name]
        [request] = list(cases_for_file([row], file.body, file.etag, file.last_modified))
        headers = {name.lower(): value for name, value in request.headers.items()}
        calls.clear()
        answer = stack.request(f"{row.method} {route}", filename=name, headers=headers)
        span = request.byte_range
        length = span[1] - span[0] + 1 if span else 0
        if length > MAX_INLINE_BYTES:
            check_redirect(answer, file)
        else:
            check_inline(answer, file, request)
        assert calls == (["GetItem", "GetObject"] if 0 < length <= MAX_INLINE_BYTES else ["GetItem"])

    return check


def check_redirect(response: Result, file: StoredFile) -> None:
    assert (response.status, response.body) == (307, b"")
    assert response.headers["cache-control"] == "private, no-store"
    assert (response.headers["etag"], response.headers["last-modified"]) == (file.etag, file.last_modified)


def check_inline(response: Result, file: StoredFile, request: FileRequestCase) -> None:
    row, span, size = request.case, request.byte_range, len(file.body)
    assert response.status == row.status, response.body
    if row.status in (200, 206, 304):
        names = (
            VALIDATOR_HEADERS
            if row.status == 304
            else REPRESENTATION_HEADERS | ({"content-range"} if row.status == 206 else set())
        )
        assert response.headers.keys() - {"x-request-id"} == names
        assert (response.headers["etag"], response.headers["last-modified"]) == (file.etag, file.last_modified)
    if span is not None:
        assert response.body == file.body[span[0] : span[1] + 1]
        assert response.headers["content-length"] == str(len(response.body))
    elif row.method != GET or row.status == 304:
        assert response.body == b""
    if row.method != GET and row.status == 200:
        assert response.headers["content-length"] == str(size)
    if row.status == 206 and span is not None:
        assert response.headers["content-range"] == f"bytes {span[0]}-{span[1]}/{size}"
    if row.status == 416:
        assert (response.code, response.headers["content-range"]) == ("range_not_satisfiable", f"bytes */{size}")
    if row.status == 412 and row.method == GET:
        assert response.code == "precondition_failed"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("row", CASES, ids=str)
@pytest.mark.parametrize("name", ["small", "large"])
def test_table_row(check: RowCheck, name: str, row: RequestCase, route: str) -> None:
    """The answer of the section, on both routes; one read of the ledger, and one of S3 only for bytes sent inline."""
    check(name, route, row)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("row", EMPTY_FILE_CASES, ids=str)
def test_table_row_for_empty_file(check: RowCheck, row: RequestCase, route: str) -> None:
    """As for any other; and S3 is never asked for nothing."""
    check("empty", route, row)
