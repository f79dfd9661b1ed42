"""What pages and other origins see of `/uploads`: absolute URLs, and the headers that CORS lets through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dev.local.template import load_template
from dev.paths import ROOT
from tests.integration.stack import Stack
from tests.support.protocol_client import ProtocolClient, draft_client, tus_client

CLIENT_HEADERS = {"host": "evil.example", "forwarded": "host=evil.example", "x-forwarded-host": "evil.example"}

REQUEST_HEADERS = {
    *("authorization", "content-type", "x-http-method-override"),
    *("tus-resumable", "upload-length", "upload-defer-length", "upload-metadata", "upload-concat", "upload-checksum"),
    *("upload-offset", "upload-complete", "upload-incomplete", "upload-draft-interop-version"),
    *("content-digest", "repr-digest", "content-disposition"),
}
"""Headers that clients of both protocols send, and that no browser sends without a preflight's permission."""

SAFELISTED = {"cache-control", "content-length", "content-type", "x-content-type-options", "accept-patch"}
"""Response headers that every page may read, or that no page needs."""


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        pytest.param("", "https://id.execute-api.us-east-1.amazonaws.com", id="gateway"),
        pytest.param("https://files.example.com", "https://files.example.com", id="custom-domain"),
        pytest.param("https://files.example.com/prod", "https://files.example.com/prod", id="stage-path"),
        pytest.param("http://127.0.0.1:3000", "http://127.0.0.1:3000", id="local-service"),
    ],
)
def test_location_is_absolute_behind_every_address(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, public_url: str, expected: str
) -> None:
    """`Location` begins with PublicUrl or the gateway's domain name, whatever the request's headers say."""
    monkeypatch.setenv("FERRY_PUBLIC_URL", public_url)
    stack.new_process()
    tus, draft = tus_client(stack), draft_client(stack)
    for created in (
        tus.create(headers={**CLIENT_HEADERS, "upload-length": "5"}),
        draft.create(headers={**CLIENT_HEADERS, "upload-complete": "?0"}),
    ):
        location = created.headers["location"]
        assert location.rpartition("/")[0] == f"{expected}/uploads"
    assert tus.head(tus.upload_id(tus.create(upload_length="5"))).status == 200
    monkeypatch.undo()
    stack.new_process()


@pytest.fixture(scope="module")
def cors() -> Mapping[str, Any]:
    """The CORS configuration of the gateway in the template."""
    rules: Mapping[str, Any] = load_template(ROOT / "template.yaml")["Resources"]["Api"]["Properties"][
        "CorsConfiguration"
    ]
    return rules


def test_cors_allows_what_clients_send(cors: Mapping[str, Any]) -> None:
    """The gateway answers preflights itself, so the template has every method and header of both protocols."""
    assert set(cors["AllowMethods"]) >= {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"}
    assert set(cors["AllowHeaders"]) >= REQUEST_HEADERS


@pytest.mark.parametrize("make_client", [tus_client, draft_client])
def test_cors_exposes_every_header_of_a_response(stack: Stack, cors: Mapping[str, Any], make_client: Any) -> None:
    """A page can read every header of creations, offsets, appends, errors and the capabilities."""
    client: ProtocolClient = make_client(stack)
    end = {} if client.common else {"upload_complete": "?0"}
    created = client.create(headers={"upload_length": "5", **end})
    upload_id = client.upload_id(created)
    responses = [
        stack.request("OPTIONS /uploads", token=None),
        created,
        client.head(upload_id),
        client.patch(upload_id, 0, b"abc", "PATCH", **end),
        client.patch(upload_id, 0, b"abc", "PATCH", **end),
        client.create(headers={"upload_length": "x", **end}),
        client.delete(upload_id),
    ]
    sent = {name.lower() for response in responses for name in response.headers} - SAFELISTED
    assert sent >= {"location", "upload-offset", "ferry-filename"}
    assert sent <= set(cors["ExposeHeaders"])
