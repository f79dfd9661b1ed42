"""Access tokens: requests, claims, scopes and errors."""

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
    client_secret: str = service.connection_info["clients"][0]["client_secret"]
    return client_secret


def request_token(
    anonymous: FerryClient, members: dict[str, str], *, basic: str | None = None, content_type: str = FORM
) -> ApiResponse:
    body = urlencode(members) if content_type == FORM else json.dumps(members)
    headers = {"Content-Type": content_type}
    if basic is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(basic.encode()).decode()}"
    return anonymous.request("POST", "/auth/token", body.encode(), headers)


def test_token_request_all_forms_succeed(anonymous: FerryClient, secret: str) -> None:
    """HTTP Basic with a form, a form alone and JSON get the same response, and each token is accepted."""
    grant = {"grant_type": "client_credentials"}
    own = {"client_id": "demo", "client_secret": secret}
    responses = [
        request_token(anonymous, grant, basic=f"demo:{secret}"),
        request_token(anonymous, grant | own),
        request_token(anonymous, grant | own, content_type="application/json"),
    ]
    for response in responses:
        assert response.status == 200
        assert response.headers["cache-control"] == "no-store"
        assert response.json.keys() == {"access_token", "token_type", "expires_in", "scope"}
        assert (response.json["token_type"], response.json["expires_in"]) == ("Bearer", 3600)
        assert set(response.json["scope"].split()) == {"files:read", "files:write", "files:share", "files:admin"}
        assert FerryClient(anonymous.base_url, response.json["access_token"]).request("GET", "/files").status == 200


def test_token_verifies_with_published_keys(anonymous: FerryClient, secret: str) -> None:
    """The published key set verifies a token, which has the namespace and the scopes."""
    response = request_token(
        anonymous, {"grant_type": "client_credentials", "scope": "files:read"}, basic=f"demo:{secret}"
    )
    token = response.json["access_token"]
    keys = {key["kid"]: jwt.PyJWK(key) for key in anonymous.request("GET", "/.well-known/jwks.json").json["keys"]}
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "ES256"
    claims: dict[str, Any] = jwt.decode(token, keys[header["kid"]], algorithms=["ES256"], audience="ferry")
    assert claims.keys() == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "ns"}
    assert (claims["sub"], claims["ns"], claims["scope"]) == ("demo", "demo", "files:read")
    assert claims["exp"] - claims["iat"] == 3600


def test_token_narrow_scope_is_enforced(anonymous: FerryClient, secret: str, name: str) -> None:
    """A start without `files:write` is rejected, and the header names the error."""
    narrow = anonymous.authenticate("demo", secret, "files:read")
    response = narrow.start(name, 1)
    assert (response.status, response.code) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]


def test_token_errors_follow_oauth(anonymous: FerryClient, secret: str, service: LocalService) -> None:
    """A wrong secret and an unknown client get the same 401; a foreign scope and a wrong grant type get 400."""
    grant = {"grant_type": "client_credentials"}
    wrong = request_token(anonymous, grant, basic="demo:wrong")
    unknown = request_token(anonymous, grant, basic="unknown:wrong")
    for response in (wrong, unknown):
        assert (response.status, response.json["error"]) == (401, "invalid_client")
        assert "www-authenticate" in response.headers
    assert wrong.body == unknown.body
    reader_secret = service.connection_info["clients"][1]["client_secret"]
    assert request_token(anonymous, grant | {"scope": "files:write"}, basic=f"reader:{reader_secret}").json[
        "error"
    ] == ("invalid_scope")
    response = request_token(anonymous, {"grant_type": "password"}, basic=f"demo:{secret}")
    assert (response.status, response.json["error"]) == (400, "unsupported_grant_type")


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
    """401 has a Bearer challenge, which names the error only if a token was sent."""
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
        response = anonymous.request(method, target, headers=headers)
        assert response.status == 401
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert ("error=" in response.headers["www-authenticate"]) == (error is not None)
        assert error is None or f'error="{error}"' in response.headers["www-authenticate"]


def test_public_routes_need_no_token(anonymous: FerryClient) -> None:
    """Health, the keys and the API's description need no token."""
    assert anonymous.request("GET", "/health").json["status"] == "ok"
    assert anonymous.request("GET", "/.well-known/jwks.json").json["keys"]
    assert anonymous.request("GET", "/openapi.json").json["openapi"].startswith("3.")
