"""Downloads by the table of RFC 9110, at the handlers: responses, headers, and calls to AWS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.endpoint import Endpoint

from ferry.downloads.download import MAX_BODY_BYTES
from tests.integration.stack import Result, Stack
from tests.support.requests_table import CASES, EMPTY_FILE_CASES, GET, FileRequestCase, RequestCase, cases_for_file

ROUTES = ["/download/{filename+}", "/download/partial/{filename+}"]
CaseCheck = Callable[[str, str, RequestCase], None]
VALIDATOR_HEADERS = {"etag", "last-modified", "cache-control", "vary"}
REPRESENTATION_HEADERS = VALIDATOR_HEADERS | {
    *("accept-ranges", "content-type", "content-length", "content-disposition", "repr-digest", "ferry-size"),
    *("content-security-policy", "cross-origin-resource-policy", "x-content-type-options"),
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
    """An empty file, a small one, and one over the inline limit."""
    stored = {}
    for name, size in {"empty": 0, "small": 1_000, "large": MAX_BODY_BYTES + 1_000}.items():
        body = bytes(position % 251 for position in range(size))
        stack.upload(name, body)
        head = stack.request("HEAD /download/{filename+}", filename=name).headers
        stored[name] = StoredFile(name, body, head["etag"], head["last-modified"])
    return stored


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations of the calls to AWS, in order. Presigning is no call."""
    sent: list[str] = []
    send = Endpoint.make_request

    def record_call(endpoint: Endpoint, operation: Any, request: Any) -> Any:
        sent.append(operation.name)
        return send(endpoint, operation, request)

    monkeypatch.setattr(Endpoint, "make_request", record_call)
    return sent


@pytest.fixture
def check(stack: Stack, files: dict[str, StoredFile], calls: list[str]) -> CaseCheck:
    """A function that requests a file by its name and compares the response with the table."""

    def check(name: str, route: str, case: RequestCase) -> None:
        file = files[name]
        [request] = list(cases_for_file([case], file.body, file.etag, file.last_modified))
        headers = {name.lower(): value for name, value in request.headers.items()}
        calls.clear()
        response = stack.request(f"{case.method} {route}", filename=name, headers=headers)
        span = request.byte_range
        length = span[1] - span[0] + 1 if span else 0
        if length > MAX_BODY_BYTES:
            check_redirect(response)
        else:
            check_inline(response, file, request)
        assert calls == (["GetItem", "GetObject"] if 0 < length <= MAX_BODY_BYTES else ["GetItem"])

    return check


def check_redirect(response: Result) -> None:
    assert (response.status, response.body) == (307, b"")
    assert response.headers["cache-control"] == "private, no-store"
    assert response.headers.keys() == {"location", "cache-control", "x-request-id"}


def check_inline(response: Result, file: StoredFile, request: FileRequestCase) -> None:
    case, span, size = request.case, request.byte_range, len(file.body)
    assert response.status == case.status, response.body
    if case.status in (200, 206, 304):
        names = (
            VALIDATOR_HEADERS | {"content-type"}
            if case.status == 304
            else REPRESENTATION_HEADERS | ({"content-range"} if case.status == 206 else set())
        )
        assert response.headers.keys() - {"x-request-id"} == names
        assert (response.headers["etag"], response.headers["last-modified"]) == (file.etag, file.last_modified)
    if span is not None:
        assert response.body == file.body[span[0] : span[1] + 1]
        assert response.headers["content-length"] == str(len(response.body))
    elif case.method != GET or case.status == 304:
        assert response.body == b""
    if case.method != GET and case.status == 200:
        assert response.headers["content-length"] == response.headers["ferry-size"] == str(size)
    if case.status == 206 and span is not None:
        assert response.headers["content-range"] == f"bytes {span[0]}-{span[1]}/{size}"
    if case.status == 416:
        assert (response.code, response.headers["content-range"]) == ("range_not_satisfiable", f"bytes */{size}")
    if case.status == 412 and case.method == GET:
        assert response.code == "precondition_failed"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("name", ["small", "large"])
def test_download_matches_table(check: CaseCheck, name: str, case: RequestCase, route: str) -> None:
    """The response follows the section on both routes, with one read of the metadata store, and one of S3 for inline
    bytes.
    """
    check(name, route, case)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("case", EMPTY_FILE_CASES, ids=str)
def test_download_of_empty_file_matches_table(check: CaseCheck, case: RequestCase, route: str) -> None:
    """An empty file follows the table, without a call to S3."""
    check("empty", route, case)
