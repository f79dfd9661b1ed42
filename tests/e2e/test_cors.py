"""What a browser's page may do, at the API and, redirected, at S3. Locally every page of this machine may."""

from __future__ import annotations

import pytest

from dev.local.client import FerryClient, fetch
from tests.e2e.clients import MIB, random_bytes

ORIGINS = ["null", "http://localhost:5173", "http://127.0.0.1", "https://app.localhost:8443", "http://[::1]:8080"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_cors_local_origin_allowed(api: FerryClient, name: str, origin: str) -> None:
    """Preflights and answers of both allow it, and it may read the headers that a client needs."""
    content = random_bytes(8 * MIB)
    api.start(name, len(content))
    part = api.presign_parts(name, 1).json["parts"][0]
    asked = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    assert fetch("OPTIONS", part["url"], None, asked).headers["access-control-allow-origin"] in (origin, "*")
    put = fetch("PUT", part["url"], content, {**part["headers"], "Origin": origin})
    assert (put.status, put.headers["access-control-allow-origin"] in (origin, "*")) == (200, True)
    answer = api.request("POST", "/upload/complete", b'{"filename": "%s"}' % name.encode(), {"Origin": origin})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, origin)
    redirect = api.request("GET", f"/download/{name}", headers={"Origin": origin})
    assert redirect.status == 307
    got = fetch("GET", redirect.headers["location"], None, {"Origin": "null", "Range": "bytes=0-9"})
    assert (got.status, got.body) == (206, content[:10])
    assert got.headers["access-control-allow-origin"] in ("null", "*")
    shown = {header.strip().lower() for header in got.headers["access-control-expose-headers"].split(",")}
    assert {"etag", "content-range", "accept-ranges", "content-disposition"} <= shown


def test_cors_foreign_origin_not_allowed(api: FerryClient) -> None:
    """Without the header the browser hides the answer."""
    answer = api.request("GET", "/files", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers
