"""An outside issuer's tokens at the functions' doors: its key set on loopback, changed, gone and hostile."""

from __future__ import annotations

import http.server
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from ferry import wiring
from ferry.access.outside import FRESH, RETRY, STALE
from ferry.aws.clock import wall_clock
from tests.integration.stack import SECRET, Stack
from tests.support.issuer import ISSUER, Issuer, answer, served


@dataclass
class Outside:
    """The issuer, what its server answers with, and how far time has gone on."""

    issuer: Issuer
    answers: Callable[[http.server.BaseHTTPRequestHandler], None]
    ahead: list[int] = field(default_factory=lambda: [0])

    def later(self, milliseconds: int) -> None:
        self.ahead[0] += milliseconds


@pytest.fixture
def outside(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """Functions that trust it beside Ferry's own tokens."""
    ahead = [0]

    def clock() -> int:
        return wall_clock() + ahead[0]

    issuer = Issuer(clock)
    found = Outside(issuer, lambda handler: answer(handler, issuer.document()), ahead)

    def serve(handler: http.server.BaseHTTPRequestHandler) -> None:
        found.answers(handler)

    with served(serve) as url:
        settings = {
            "ISSUER": ISSUER,
            "JWKS_URL": url,
            "AUDIENCE": "ferry",
            "AUDIENCE_CLAIM": "aud",
            "SCOPE_CLAIM": "scope",
            "NAMESPACE_CLAIM": "ns",
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"FERRY_OUTSIDE_{name}", value)
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
    return stack.call("GET /files", token=token).status


def test_both_kinds_of_tokens_open_their_own_namespace(stack: Stack, outside: Outside) -> None:
    """The outside's the one that its claim names, with the scopes it has; Ferry's own go on as before."""
    stack.upload("own.bin", b"x")
    token = outside.issuer.token()
    assert stack.call("GET /files", token=token).json["files"] == []
    assert [file["filename"] for file in stack.call("GET /files").json["files"]] == ["own.bin"]
    assert stack.call("DELETE /files/{filename}", filename="own.bin", token=token).code == "insufficient_scope"
    may = outside.issuer.token(scope="files:write", ns="demo")
    assert stack.call("DELETE /files/{filename}", filename="own.bin", token=may).status == 204


def test_a_token_for_somebody_else_is_none(stack: Stack, outside: Outside) -> None:
    """Another audience, another issuer, a key that is not published."""
    assert status(stack, outside.issuer.token(aud="somebody")) == 401
    assert status(stack, outside.issuer.token(iss="https://issuer.example")) == 401
    outside.issuer.change_key()
    assert status(stack, outside.issuer.token()) == 401


def test_the_issuer_changes_its_key(stack: Stack, outside: Outside) -> None:
    """The first token of the new key is believed; the old key's no more once the set is read without it."""
    old = outside.issuer.token()
    assert status(stack, old) == 200
    outside.later(RETRY)
    outside.issuer.change_key()
    outside.issuer.publish()
    assert status(stack, outside.issuer.token()) == 200
    assert status(stack, old) == 401


def gone(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.connection.close()


def lost(handler: http.server.BaseHTTPRequestHandler) -> None:
    answer(handler, b"<html>an error page</html>", 503)


def moved(handler: http.server.BaseHTTPRequestHandler) -> None:
    answer(handler, b"", 301, {"Location": "https://issuer.example/keys"})


def hostile(handler: http.server.BaseHTTPRequestHandler) -> None:
    answer(handler, b'{"keys": [' + b"{}," * 300_000)


def nested(handler: http.server.BaseHTTPRequestHandler) -> None:
    answer(handler, b"[" * 100_000)


@pytest.mark.parametrize("answers", [gone, lost, moved, hostile, nested])
def test_the_issuer_is_down_or_an_enemy(
    stack: Stack, outside: Outside, answers: Callable[[http.server.BaseHTTPRequestHandler], None]
) -> None:
    """Known keys serve for an hour, then it is a 503 with a time to come again; Ferry's own tokens never notice."""
    assert status(stack, outside.issuer.token()) == 200
    outside.answers = answers
    outside.later(FRESH)
    assert status(stack, outside.issuer.token()) == 200
    outside.later(STALE)
    stack.forget_tokens()
    got = stack.call("GET /files", token=outside.issuer.token())
    assert (got.status, got.code) == (503, "backend_unavailable")
    assert got.headers["retry-after"]
    assert status(stack, "") == 200


def test_the_outside_alone(stack: Stack, outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ferry's own tokens are refused, it issues none and publishes no keys."""
    own = stack.token()
    monkeypatch.setenv("FERRY_OWN_TOKENS", "false")
    stack.new_process()
    assert status(stack, own) == 401
    assert status(stack, outside.issuer.token()) == 200
    body = {"grant_type": "client_credentials", "client_id": "x", "client_secret": SECRET}
    refused = stack.post("POST /auth/token", body)
    assert (refused.status, refused.json["error"]) == (400, "unsupported_grant_type")
    assert stack.call("GET /.well-known/jwks.json").json == {"keys": []}


def test_plain_http_is_for_stand_ins(outside: Outside, stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """On AWS such a setting stops every request that brings a token: nothing is asked, and nobody let in."""
    monkeypatch.setenv("FERRY_ENDPOINTS", "")
    stack.new_process()
    asked: list[int] = []
    outside.answers = lambda handler: asked.append(1)
    assert status(stack, outside.issuer.token()) == 500
    assert not asked
