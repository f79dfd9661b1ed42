"""Tokens of an external issuer at the functions, while its key set changes, disappears or is hostile."""

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
    """An external issuer and its server."""

    issuer: FakeIssuer
    """Signs the tokens."""
    handler: Callable[[http.server.BaseHTTPRequestHandler], None]
    """Answers requests for the key set."""
    clock_offset_ms: list[int] = field(default_factory=lambda: [0])
    """How far the clock of the issuer and the functions is ahead."""

    def advance_ms(self, milliseconds: int) -> None:
        self.clock_offset_ms[0] += milliseconds


@pytest.fixture
def external_issuer(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExternalIssuerFixture]:
    """An external issuer that the functions accept beside Ferry's own tokens."""
    clock_offset_ms = [0]

    def clock() -> int:
        return wall_clock() + clock_offset_ms[0]

    issuer = FakeIssuer(clock)
    fixture = ExternalIssuerFixture(
        issuer, lambda handler: send_response(handler, issuer.jwks_document()), clock_offset_ms
    )

    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        fixture.handler(handler)

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
        # Any endpoint allows http on loopback; this one redirects no service.
        monkeypatch.setenv("FERRY_ENDPOINTS", "none=none")
        monkeypatch.setattr(wiring, "wall_clock", clock)
        stack.forget_tokens()
        stack.new_process()
        yield fixture
    monkeypatch.undo()
    stack.forget_tokens()
    stack.new_process()


def status(stack: Stack, token: str) -> int:
    return stack.request("GET /files", token=token).status


def test_internal_and_external_tokens_are_accepted(stack: Stack, external_issuer: ExternalIssuerFixture) -> None:
    """A token of the external issuer opens its namespace with its scopes; Ferry's own tokens work beside it."""
    stack.upload("own.bin", b"x")
    token = external_issuer.issuer.sign_token()
    assert stack.request("GET /files", token=token).json["files"] == []
    assert [file["filename"] for file in stack.request("GET /files").json["files"]] == ["own.bin"]
    assert stack.request("DELETE /files/{filename+}", filename="own.bin", token=token).code == "insufficient_scope"
    writer_token = external_issuer.issuer.sign_token(scope="files:write", ns="demo")
    assert stack.request("DELETE /files/{filename+}", filename="own.bin", token=writer_token).status == 204


def test_foreign_token_is_rejected(stack: Stack, external_issuer: ExternalIssuerFixture) -> None:
    """A token for another audience, of another issuer, or of an unpublished key is rejected."""
    assert status(stack, external_issuer.issuer.sign_token(aud="another-service")) == 401
    assert status(stack, external_issuer.issuer.sign_token(iss="https://issuer.example")) == 401
    external_issuer.issuer.rotate_key()
    assert status(stack, external_issuer.issuer.sign_token()) == 401


def test_issuer_key_rotation_is_followed(stack: Stack, external_issuer: ExternalIssuerFixture) -> None:
    """The first token of a new key is accepted; the old key's tokens are rejected once it is unpublished."""
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
    """Cached keys serve for an hour, then the response is a 503 with Retry-After; Ferry's own tokens always work."""
    assert status(stack, external_issuer.issuer.sign_token()) == 200
    external_issuer.handler = handler
    external_issuer.advance_ms(CACHE_TTL_MS)
    assert status(stack, external_issuer.issuer.sign_token()) == 200
    external_issuer.advance_ms(MAX_STALE_MS)
    stack.forget_tokens()
    response = stack.request("GET /files", token=external_issuer.issuer.sign_token())
    assert (response.status, response.code) == (503, "backend_unavailable")
    assert response.headers["retry-after"]
    assert status(stack, "") == 200


def test_external_issuer_only_disables_token_endpoint(
    stack: Stack, external_issuer: ExternalIssuerFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With EnableTokenIssuer=false Ferry's own tokens are rejected, none are issued, and no key is published."""
    internal_token = stack.token()
    monkeypatch.setenv("FERRY_ISSUE_TOKENS", "false")
    stack.new_process()
    assert status(stack, internal_token) == 401
    assert status(stack, external_issuer.issuer.sign_token()) == 200
    body = {"grant_type": "client_credentials", "client_id": "x", "client_secret": SECRET}
    response = stack.post_json("POST /auth/token", body)
    assert (response.status, response.json["error"]) == (400, "unsupported_grant_type")
    assert stack.request("GET /.well-known/jwks.json").json == {"keys": []}


def test_http_jwks_url_is_rejected_on_aws(
    external_issuer: ExternalIssuerFixture, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without emulators an http URL fails every request with a token, and nothing is fetched."""
    monkeypatch.setenv("FERRY_ENDPOINTS", "")
    stack.new_process()
    fetches: list[int] = []
    external_issuer.handler = lambda handler: fetches.append(1)
    assert status(stack, external_issuer.issuer.sign_token()) == 500
    assert not fetches
