"""The auth function: tokens, keys, the document."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import quote_plus, urlencode

import jwt
import pytest

from ferry import __version__, wiring
from ferry.trust import Client
from tests.integration.events import event
from tests.integration.stack import READ, WRITE, Stack, document, result_of

FORM = {"content-type": "application/x-www-form-urlencoded"}
ID, SECRET = "client: one", "s&cr=t %+ü"


@pytest.fixture(autouse=True)
def client(stack: Stack) -> None:
    """A client whose id and secret need encoding."""
    hashes = (hashlib.sha256(SECRET.encode()).digest(),)
    wiring.access_store().put_client(Client(ID, "demo", frozenset({READ, WRITE}), hashes))


def basic(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


def test_a_token_by_form_and_basic_verifies_with_the_published_keys(stack: Stack) -> None:
    """What `/auth/token` issues, PyJWT accepts with the key that `/.well-known/jwks.json` publishes."""
    got = stack.call(
        "POST /auth/token",
        headers={**FORM, **basic(ID, SECRET)},
        body=b"grant_type=client_credentials&scope=files:read",
    )
    assert got.status == 200
    assert got.headers["cache-control"] == "no-store"
    assert (got.json["token_type"], got.json["expires_in"], got.json["scope"]) == ("Bearer", 3600, "files:read")
    keys = stack.call("GET /.well-known/jwks.json").json["keys"]
    header = jwt.get_unverified_header(got.json["access_token"])
    [key] = [key for key in keys if key["kid"] == header["kid"]]
    claims = jwt.decode(got.json["access_token"], jwt.PyJWK(key), algorithms=["ES256"], audience="ferry")
    assert claims.keys() == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "ns"}
    assert (claims["sub"], claims["ns"], claims["scope"]) == (ID, "demo", "files:read")


@pytest.mark.parametrize("as_json", [False, True])
def test_credentials_in_the_body(stack: Stack, as_json: bool) -> None:
    """The same members work as a form and as JSON; unknown ones are ignored."""
    members = {"grant_type": "client_credentials", "client_id": ID, "client_secret": SECRET, "audience": "x"}
    body = json.dumps(members) if as_json else urlencode(members)
    got = stack.call(
        "POST /auth/token", headers={"content-type": "application/json"} if as_json else FORM, body=body.encode()
    )
    assert got.status == 200
    assert got.json["scope"] == "files:read files:write"


def test_wrong_secret_and_unknown_client_are_alike(stack: Stack) -> None:
    """Neither body nor headers tell whether a client exists."""
    answers = [
        stack.call("POST /auth/token", headers={**FORM, **credentials}, body=b"grant_type=client_credentials")
        for credentials in (basic(ID, "wrong"), basic("nobody", SECRET), basic("x" * 3000, SECRET), basic("", ""))
    ]
    assert {answer.status for answer in answers} == {401}
    assert {answer.body for answer in answers} == {answers[0].body}
    assert answers[0].json["error"] == "invalid_client"
    assert answers[0].headers["www-authenticate"].startswith("Basic ")


GOOD = {"grant_type": "client_credentials", "client_id": ID, "client_secret": SECRET}


@pytest.mark.parametrize(
    ("headers", "body", "status", "error"),
    [
        (FORM, b"", 400, "invalid_request"),
        (FORM, urlencode({**GOOD, "grant_type": ""}).encode(), 400, "invalid_request"),
        (FORM, urlencode({**GOOD, "grant_type": "password"}).encode(), 400, "unsupported_grant_type"),
        (FORM, urlencode({**GOOD, "scope": "files:admin"}).encode(), 400, "invalid_scope"),
        (FORM, urlencode({**GOOD, "scope": 'a"b'}).encode(), 400, "invalid_scope"),
        (
            FORM,
            urlencode([*GOOD.items(), ("scope", "files:read"), ("scope", "files:read")]).encode(),
            400,
            "invalid_request",
        ),
        (FORM, b"grant_type=%ff", 400, "invalid_request"),
        (FORM, b"grant_type=\xff", 400, "invalid_request"),
        (FORM, b"&".join(b"a%d=" % index for index in range(200)), 400, "invalid_request"),
        (FORM, b"a" * 70_000, 413, "invalid_request"),
        (FORM, b"grant_type=client_credentials", 401, "invalid_client"),
        (FORM | basic(ID, SECRET), urlencode(GOOD).encode(), 400, "invalid_request"),
        (FORM | {"authorization": "Basic ???"}, b"grant_type=client_credentials", 401, "invalid_client"),
        (FORM | {"authorization": "Basic /w=="}, b"grant_type=client_credentials", 401, "invalid_client"),
        (FORM | {"authorization": "Bearer x"}, b"grant_type=client_credentials", 401, "invalid_client"),
        ({"content-type": "application/json"}, b"{", 400, "invalid_request"),
        ({"content-type": "application/json"}, b"[]", 400, "invalid_request"),
        ({"content-type": "application/json"}, b'{"grant_type": 1}', 400, "invalid_request"),
        ({"content-type": "application/json"}, b'{"grant_type":"x","grant_type":"x"}', 400, "invalid_request"),
        ({"content-type": "text/plain"}, urlencode(GOOD).encode(), 400, "invalid_request"),
    ],
)
def test_what_the_token_endpoint_refuses(
    stack: Stack, headers: dict[str, str], body: bytes, status: int, error: str
) -> None:
    """Errors have OAuth's shape (RFC 6749 section 5.2), and are never cached."""
    got = stack.call("POST /auth/token", headers=headers, body=body)
    assert (got.status, got.json["error"]) == (status, error)
    assert got.headers["cache-control"] == "no-store"


def test_health_and_document(stack: Stack) -> None:
    """Both answer without a token; the document is the generated one."""
    assert stack.call("GET /health").json == {"status": "ok", "version": __version__}
    assert stack.call("GET /openapi.json").json == document()


def test_an_unknown_route_is_a_404(stack: Stack) -> None:
    """Should the gateway ever hand one on, it is a problem, not a crash."""
    for function in ("auth", "upload", "download", "status", "cleanup"):
        got = result_of(stack.handle(function, event("PATCH /nowhere/{filename}", filename="x")))
        assert (got.status, got.code) == (404, "route_not_found")
    default = {**event("GET /nowhere"), "routeKey": "$default"}
    assert result_of(stack.handle("auth", default)).status == 404
