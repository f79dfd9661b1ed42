"""Rules of HTTP that hold on every route: methods, preconditions, media types, encodings, and headers of responses."""

from __future__ import annotations

import pytest

from dev.local.client import FerryClient
from tests.e2e.clients import upload_file

PUBLIC_PATHS = ["/health", "/openapi.json", "/.well-known/jwks.json"]


@pytest.mark.parametrize("path", [*PUBLIC_PATHS, "/files", "/status", "/status/{name}", "/download/{name}"])
def test_head_works_where_get_works(api: FerryClient, name: str, path: str) -> None:
    """HEAD has the status and the length of GET, and no body."""
    upload_file(api, name, b"hello")
    got = api.request("GET", path.format(name=name))
    head = api.request("HEAD", path.format(name=name))
    assert (got.status, head.status, head.body) == (200, 200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["content-type"] == got.headers["content-type"]
