"""Tokens, in all the forms that clients ask for them."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode

import jwt
import pytest

from dev.local.client import ApiResponse, FerryClient
from dev.local.launcher import LocalService

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def secret(service: LocalService) -> str:
    found: str = service.connection_info["clients"][0]["client_secret"]
    return found


def request_token(
    anonymous: FerryClient, members: dict[str, str], *, basic: str | None = None, content_type: str = FORM
) -> ApiResponse:
    body = urlencode(members) if content_type == FORM else json.dumps(members)
    headers = {"Content-Type": content_type}
    if basic is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(basic.encode()).decode()}"
    return anonymous.request("POST", "/auth/token", body.encode(), headers)


def test_token_request_all_forms_succeed(anonymous: FerryClient, secret: str) -> None:
    """HTTP Basic with a form, a form alone, and JSON: the same answer, and each token opens a route."""
    grant = {"grant_type": "client_credentials"}
    own = {"client_id": "demo", "client_secret": secret}
    answers = [
        request_token(anonymous, grant, basic=f"demo:{secret}"),
        request_token(anonymous, grant | own),
        request_token(anonymous, grant | own, content_type="application/json"),
    ]
    for answer in answers:
        assert answer.status == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json.keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert (answer.json["token_type"], answer.json["expires_in"]) == ("Bearer", 3600)
        assert set(answer.json["scope"].split()) == {"files:read", "files:write", "files:admin"}
        assert FerryClient(anonymous.base_url, answer.json["access_token"]).request("GET", "/files").status == 200


def test_token_verifies_with_published_keys(anonymous: FerryClient, secret: str) -> None:
    """Another service verifies it with nothing but the key set: ES256, with the namespace and the scopes in it."""
    answer = request_token(
        anonymous, {"grant_type": "client_credentials", "scope": "files:read"}, basic=f"demo:{secret}"
    )
    token = answer.json["access_token"]
    keys = {key["kid"]: jwt.PyJWK(key) for key in anonymous.request("GET", "/.well-known/jwks.json").json["keys"]}
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "ES256"
    claims: dict[str, Any] = jwt.decode(token, keys[header["kid"]], algorithms=["ES256"], audience="ferry")
    assert claims.keys() == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "ns"}
    assert (claims["sub"], claims["ns"], claims["scope"]) == ("demo", "demo", "files:read")
    assert claims["exp"] - claims["iat"] == 3600


def test_token_narrow_scope_is_enforced(anonymous: FerryClient, secret: str, name: str) -> None:
    """With files:read alone a start is refused, and the header says which scope would do."""
    narrow = anonymous.authenticate("demo", secret, "files:read")
    answer = narrow.start(name, 1)
    assert (answer.status, answer.code) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_token_errors_follow_oauth(anonymous: FerryClient, secret: str, service: LocalService) -> None:
    """A wrong secret and an unknown client look alike; a scope that is not the client's, and a wrong grant, are 400."""
    grant = {"grant_type": "client_credentials"}
    wrong = request_token(anonymous, grant, basic="demo:wrong")
    unknown = request_token(anonymous, grant, basic="nobody:wrong")
    for answer in (wrong, unknown):
        assert (answer.status, answer.json["error"]) == (401, "invalid_client")
        assert "www-authenticate" in answer.headers
    assert wrong.body == unknown.body
    reader_secret = service.connection_info["clients"][1]["client_secret"]
    assert request_token(anonymous, grant | {"scope": "files:write"}, basic=f"reader:{reader_secret}").json[
        "error"
    ] == ("invalid_scope")
    answer = request_token(anonymous, {"grant_type": "password"}, basic=f"demo:{secret}")
    assert (answer.status, answer.json["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize(
    ("authorization", "error"),
    [
        (None, None),
        ("Bearer nonsense", "invalid_token"),
        ("Bearer eyJhbGciOiJub25lIn0.eyJucyI6ImRlbW8ifQ.", "invalid_token"),
    ],
)
def test_request_without_valid_token_returns_401(
    anonymous: FerryClient, authorization: str | None, error: str | None
) -> None:
    """401 with a Bearer challenge, which names the error only when a token was sent."""
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, target in (
        ("POST", "/upload/start"),
        ("POST", "/upload/chunk"),
        ("GET", "/download/x"),
        ("GET", "/status/x"),
        ("GET", "/files"),
        ("DELETE", "/files/x"),
        ("DELETE", "/cleanup"),
    ):
        answer = anonymous.request(method, target, headers=headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert ("error=" in answer.headers["www-authenticate"]) == (error is not None)
        assert error is None or f'error="{error}"' in answer.headers["www-authenticate"]


def test_public_routes_need_no_token(anonymous: FerryClient) -> None:
    """Health, the keys and the API's description need no token."""
    assert anonymous.request("GET", "/health").json["status"] == "ok"
    assert anonymous.request("GET", "/.well-known/jwks.json").json["keys"]
    assert anonymous.request("GET", "/openapi.json").json["openapi"].startswith("3.")
