"""An outside issuer's tokens at the functions' doors: its key set on loopback, changed, gone and hostile."""

from __future__ import annotations

import http.server
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from ferry import wiring
from ferry.auth.external import CACHE_TTL_MS, MAX_STALE_MS, REFETCH_INTERVAL_MS
from ferry.aws.clock import wall_clock
from tests.integration.stack import SECRET, Stack
from tests.support.issuer import ISSUER, FakeIssuer, http_server, send_response


@dataclass
class ExternalIssuerFixture:
    """The issuer, what its server answers with, and how far time has gone on."""

    issuer: FakeIssuer
    handler: Callable[[http.server.BaseHTTPRequestHandler], None]
    clock_offset_ms: list[int] = field(default_factory=lambda: [0])

    def advance_ms(self, milliseconds: int) -> None:
        self.clock_offset_ms[0] += milliseconds


@pytest.fixture
def external_issuer(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExternalIssuerFixture]:
    """Functions that trust it beside Ferry's own tokens."""
    ahead = [0]

    def clock() -> int:
        return wall_clock() + ahead[0]

    issuer = FakeIssuer(clock)
    found = ExternalIssuerFixture(issuer, lambda handler: send_response(handler, issuer.jwks_document()), ahead)

    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        found.handler(handler)

    with http_server(serve) as url:
        settings = {
            "URL": ISSUER,
            "JWKS_URL": url,
            "AUDIENCE": "ferry",
            "AUDIENCE_CLAIM": "aud",
            "SCOPE_CLAIM": "scope",
            "NAMESPACE_CLAIM": "ns",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"FERRY_EXTERNAL_ISSUER_{name}", value)
        # What tells that this is no AWS, without sending anybody elsewhere.
        monkeypatch.setenv("FERRY_ENDPOINTS", "none=none")
        monkeypatch.setattr(wiring, "wall_clock", clock)
        stack.forget_tokens()
        stack.new_process()
        yield found
    monkeypatch.undo()
    stack.forget_tokens()
    stack.new_process()


def status(stack: Stack, token: str) -> int:
    return stack.request("GET /files", token=token).status


def test_internal_and_external_tokens_are_accepted(stack: Stack, external_issuer: ExternalIssuerFixture) -> None:
    """The outside's the one that its claim names, with the scopes it has; Ferry's own go on as before."""
    stack.upload("own.bin", b"x")
    token = external_issuer.issuer.sign_token()
    assert stack.request("GET /files", token=token).json["files"] == []
    assert [file["filename"] for file in stack.request("GET /files").json["files"]] == ["own.bin"]
    assert stack.request("DELETE /files/{filename}", filename="own.bin", token=token).code == "insufficient_scope"
    may = external_issuer.issuer.sign_token(scope="files:write", ns="demo")
    assert stack.request("DELETE /files/{filename}", filename="own.bin", token=may).status == 204


def test_foreign_token_is_rejected(stack: Stack, external_issuer: ExternalIssuerFixture) -> None:
    """Another audience, another issuer, a key that is not published."""
    assert status(stack, external_issuer.issuer.sign_token(aud="somebody")) == 401
    assert status(stack, external_issuer.issuer.sign_token(iss="https://issuer.example")) == 401
    external_issuer.issuer.rotate_key()
    assert status(stack, external_issuer.issuer.sign_token()) == 401


def test_issuer_key_rotation_is_followed(stack: Stack, external_issuer: ExternalIssuerFixture) -> None:
    """The first token of the new key is believed; the old key's no more once the set is read without it."""
    old = external_issuer.issuer.sign_token()
    assert status(stack, old) == 200
    external_issuer.advance_ms(REFETCH_INTERVAL_MS)
    external_issuer.issuer.rotate_key()
    external_issuer.issuer.publish_current_key()
    assert status(stack, external_issuer.issuer.sign_token()) == 200
    assert status(stack, old) == 401


def close_connection(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.connection.close()


def answer_error_page(handler: http.server.BaseHTTPRequestHandler) -> None:
    send_response(handler, b"<html>an error page</html>", 503)


def answer_redirect(handler: http.server.BaseHTTPRequestHandler) -> None:
    send_response(handler, b"", 301, {"Location": "https://issuer.example/keys"})


def answer_huge_key_set(handler: http.server.BaseHTTPRequestHandler) -> None:
    send_response(handler, b'{"keys": [' + b"{}," * 300_000)


def answer_deeply_nested(handler: http.server.BaseHTTPRequestHandler) -> None:
    send_response(handler, b"[" * 100_000)


@pytest.mark.parametrize(
    "handler", [close_connection, answer_error_page, answer_redirect, answer_huge_key_set, answer_deeply_nested]
)
def test_unavailable_or_hostile_issuer_uses_cached_keys(
    stack: Stack, external_issuer: ExternalIssuerFixture, handler: Callable[[http.server.BaseHTTPRequestHandler], None]
) -> None:
    """Known keys serve for an hour, then it is a 503 with a time to come again; Ferry's own tokens never notice."""
    assert status(stack, external_issuer.issuer.sign_token()) == 200
    external_issuer.handler = handler
    external_issuer.advance_ms(CACHE_TTL_MS)
    assert status(stack, external_issuer.issuer.sign_token()) == 200
    external_issuer.advance_ms(MAX_STALE_MS)
    stack.forget_tokens()
    got = stack.request("GET /files", token=external_issuer.issuer.sign_token())
    assert (got.status, got.code) == (503, "backend_unavailable")
    assert got.headers["retry-after"]
    assert status(stack, "") == 200


def test_external_issuer_only_disables_token_endpoint(
    stack: Stack, external_issuer: ExternalIssuerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ferry's own tokens are refused, it issues none and publishes no keys."""
    own = stack.token()
    monkeypatch.setenv("FERRY_ISSUE_TOKENS", "false")
    stack.new_process()
    assert status(stack, own) == 401
    assert status(stack, external_issuer.issuer.sign_token()) == 200
    body = {"grant_type": "client_credentials", "client_id": "x", "client_secret": SECRET}
    refused = stack.post_json("POST /auth/token", body)
    assert (refused.status, refused.json["error"]) == (400, "unsupported_grant_type")
    assert stack.request("GET /.well-known/jwks.json").json == {"keys": []}


def test_http_jwks_url_is_rejected_on_aws(
    external_issuer: ExternalIssuerFixture, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On AWS such a setting stops every request that brings a token: nothing is asked, and nobody let in."""
    monkeypatch.setenv("FERRY_ENDPOINTS", "")
    stack.new_process()
    asked: list[int] = []
    external_issuer.handler = lambda handler: asked.append(1)
    assert status(stack, external_issuer.issuer.sign_token()) == 500
    assert not asked
