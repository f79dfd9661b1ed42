"""CORS of the API and of S3. Locally every page of this machine is allowed."""

from __future__ import annotations

import pytest

from dev.local.client import FerryClient, fetch
from tests.e2e.clients import MIB, random_bytes

ORIGINS = ["null", "http://localhost:5173", "http://127.0.0.1", "https://app.localhost:8443", "http://[::1]:8080"]


@pytest.mark.parametrize("origin", ORIGINS)
def test_cors_local_origin_allowed(api: FerryClient, name: str, origin: str) -> None:
    """Preflights and responses of the API and of S3 allow a local origin and expose the headers that clients need."""
    content = random_bytes(8 * MIB)
    api.start(name, len(content))
    part = api.presign_parts(name, 1).json["parts"][0]
    preflight_headers = {"Origin": origin, "Access-Control-Request-Method": "PUT"}
    assert fetch("OPTIONS", part["url"], None, preflight_headers).headers["access-control-allow-origin"] in (
        origin,
        "*",
    )
    put = fetch("PUT", part["url"], content, {**part["headers"], "Origin": origin})
    assert (put.status, put.headers["access-control-allow-origin"] in (origin, "*")) == (200, True)
    body = b'{"filename": "%s"}' % name.encode()
    completed = api.request("POST", "/upload/complete", body, {"Origin": origin})
    assert (completed.status, completed.headers["access-control-allow-origin"]) == (200, origin)
    redirect = api.request("GET", f"/download/{name}", headers={"Origin": origin})
    assert redirect.status == 307
    response = fetch("GET", redirect.headers["location"], None, {"Origin": "null", "Range": "bytes=0-9"})
    assert (response.status, response.body) == (206, content[:10])
    assert response.headers["access-control-allow-origin"] in ("null", "*")
    exposed = {header.strip().lower() for header in response.headers["access-control-expose-headers"].split(",")}
    assert {"etag", "content-range", "accept-ranges", "content-disposition"} <= exposed


def test_cors_foreign_origin_not_allowed(api: FerryClient) -> None:
    """Another origin gets no Access-Control-Allow-Origin."""
    response = api.request("GET", "/files", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in response.headers
