"""HEAD of every GET route: status and headers of GET, and no body."""

from __future__ import annotations

import pytest

from tests.integration.stack import Stack

GET_ROUTES = [
    ("/health", {}),
    ("/openapi.json", {}),
    ("/.well-known/jwks.json", {}),
    ("/files", {}),
    ("/files", {"limit": "0"}),
    ("/status", {}),
    ("/status", {"filename": "headed"}),
    ("/status", {"filename": "not there"}),
    ("/download", {"filename": "headed"}),
    ("/download/partial", {"filename": "headed"}),
]


@pytest.fixture(scope="module")
def headed_file(stack: Stack) -> None:
    """A file that no test changes."""
    stack.upload("headed", b"hello")


@pytest.mark.usefixtures("headed_file")
@pytest.mark.parametrize(("path", "query"), GET_ROUTES)
def test_head_has_status_and_headers_of_get(stack: Stack, path: str, query: dict[str, str]) -> None:
    """HEAD has the status and the headers of GET, the length of its body included, and no body."""
    got = stack.request(f"GET {path}", query=query)
    head = stack.request(f"HEAD {path}", query=query)
    assert (head.status, head.body) == (got.status, b"")
    assert head.headers == {**got.headers, "content-length": str(len(got.body))}


@pytest.mark.usefixtures("headed_file")
def test_head_of_status_by_path_has_etag(stack: Stack) -> None:
    """HEAD of a name in the path has the entity tag of the status, and 304 for a client that has it."""
    head = stack.request("HEAD /status/{filename+}", filename="headed")
    assert (head.status, head.body) == (200, b"")
    unchanged = stack.request(
        "HEAD /status/{filename+}", filename="headed", headers={"if-none-match": head.headers["etag"]}
    )
    assert unchanged.status == 304


def test_head_needs_the_token_of_get(stack: Stack) -> None:
    """HEAD of a protected route without a token is a 401 without a body."""
    head = stack.request("HEAD /files", token=None)
    assert (head.status, head.body) == (401, b"")
    assert head.headers["www-authenticate"].startswith("Bearer")
