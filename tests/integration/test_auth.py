"""The auth function: token endpoint, key set, OpenAPI document, health."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import quote_plus, urlencode

import jwt
import pytest

from ferry import __version__
from ferry.model.auth import Client
from tests.integration.events import build_event
from tests.integration.stack import READ, WRITE, Stack, openapi_document, put_client, to_result

FORM_HEADERS = {"content-type": "application/x-www-form-urlencoded"}
ID, SECRET = "client: one", "s&cr=t %+ü"


@pytest.fixture(autouse=True)
def client(stack: Stack) -> None:
    """Add a client whose id and secret need encoding."""
    hashes = (hashlib.sha256(SECRET.encode()).digest(),)
    put_client(Client(ID, "demo", frozenset({READ, WRITE}), hashes))


def basic_auth(client_id: str, secret: str) -> dict[str, str]:
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


def test_token_by_basic_auth_verifies_with_published_keys(stack: Stack) -> None:
    """A token of `/auth/token` verifies in PyJWT with the key set of `/.well-known/jwks.json`."""
    response = stack.request(
        "POST /auth/token",
        headers={**FORM_HEADERS, **basic_auth(ID, SECRET)},
        body=b"grant_type=client_credentials&scope=files:read",
    )
    assert response.status == 200
    assert response.headers["cache-control"] == "no-store"
    assert (response.json["token_type"], response.json["expires_in"], response.json["scope"]) == (
        "Bearer",
        3600,
        "files:read",
    )
    keys = stack.request("GET /.well-known/jwks.json").json["keys"]
    header = jwt.get_unverified_header(response.json["access_token"])
    [key] = [key for key in keys if key["kid"] == header["kid"]]
    claims = jwt.decode(response.json["access_token"], jwt.PyJWK(key), algorithms=["ES256"], audience="ferry")
    assert claims.keys() == {"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "ns"}
    assert (claims["sub"], claims["ns"], claims["scope"]) == (ID, "demo", "files:read")


@pytest.mark.parametrize("as_json", [False, True])
def test_credentials_in_body_are_accepted(stack: Stack, as_json: bool) -> None:
    """Credentials are accepted as a form and as JSON; unknown members are ignored."""
    members = {"grant_type": "client_credentials", "client_id": ID, "client_secret": SECRET, "audience": "x"}
    body = json.dumps(members) if as_json else urlencode(members)
    response = stack.request(
        "POST /auth/token",
        headers={"content-type": "application/json"} if as_json else FORM_HEADERS,
        body=body.encode(),
    )
    assert response.status == 200
    assert response.json["scope"] == "files:read files:write"


def test_wrong_secret_and_unknown_client_get_same_response(stack: Stack) -> None:
    """A wrong secret and an unknown client get the same body and headers."""
    responses = [
        stack.request(
            "POST /auth/token", headers={**FORM_HEADERS, **credentials}, body=b"grant_type=client_credentials"
        )
        for credentials in (
            basic_auth(ID, "wrong"),
            basic_auth("unknown", SECRET),
            basic_auth("x" * 3000, SECRET),
            basic_auth("", ""),
        )
    ]
    assert {response.status for response in responses} == {401}
    assert {response.body for response in responses} == {responses[0].body}
    assert responses[0].json["error"] == "invalid_client"
    assert responses[0].headers["www-authenticate"].startswith("Basic ")


VALID_CREDENTIALS = {"grant_type": "client_credentials", "client_id": ID, "client_secret": SECRET}


@pytest.mark.parametrize(
    ("headers", "body", "status", "error"),
    [
        (FORM_HEADERS, b"", 400, "invalid_request"),
        (FORM_HEADERS, urlencode({**VALID_CREDENTIALS, "grant_type": ""}).encode(), 400, "invalid_request"),
        (
            FORM_HEADERS,
            urlencode({**VALID_CREDENTIALS, "grant_type": "password"}).encode(),
            400,
            "unsupported_grant_type",
        ),
        (FORM_HEADERS, urlencode({**VALID_CREDENTIALS, "scope": "files:admin"}).encode(), 400, "invalid_scope"),
        (FORM_HEADERS, urlencode({**VALID_CREDENTIALS, "scope": 'a"b'}).encode(), 400, "invalid_scope"),
        (
            FORM_HEADERS,
            urlencode([*VALID_CREDENTIALS.items(), ("scope", "files:read"), ("scope", "files:read")]).encode(),
            400,
            "invalid_request",
        ),
        (FORM_HEADERS, b"grant_type=%ff", 400, "invalid_request"),
        (FORM_HEADERS, b"grant_type=\xff", 400, "invalid_request"),
        (FORM_HEADERS, b"&".join(b"a%d=" % index for index in range(200)), 400, "invalid_request"),
        (FORM_HEADERS, b"a" * 70_000, 413, "invalid_request"),
        (FORM_HEADERS, b"grant_type=client_credentials", 401, "invalid_client"),
        (FORM_HEADERS | basic_auth(ID, SECRET), urlencode(VALID_CREDENTIALS).encode(), 400, "invalid_request"),
        (FORM_HEADERS | {"authorization": "Basic ???"}, b"grant_type=client_credentials", 401, "invalid_client"),
        (FORM_HEADERS | {"authorization": "Basic /w=="}, b"grant_type=client_credentials", 401, "invalid_client"),
        (FORM_HEADERS | {"authorization": "Bearer x"}, b"grant_type=client_credentials", 401, "invalid_client"),
        ({"content-type": "application/json"}, b"{", 400, "invalid_request"),
        ({"content-type": "application/json"}, b"[]", 400, "invalid_request"),
        ({"content-type": "application/json"}, b'{"grant_type": 1}', 400, "invalid_request"),
        ({"content-type": "application/json"}, b'{"grant_type":"x","grant_type":"x"}', 400, "invalid_request"),
        ({"content-type": "text/plain"}, urlencode(VALID_CREDENTIALS).encode(), 400, "invalid_request"),
    ],
)
def test_invalid_token_request_is_rejected(
    stack: Stack, headers: dict[str, str], body: bytes, status: int, error: str
) -> None:
    """Errors have OAuth's form (RFC 6749 section 5.2) and are not cacheable."""
    response = stack.request("POST /auth/token", headers=headers, body=body)
    assert (response.status, response.json["error"]) == (status, error)
    assert response.headers["cache-control"] == "no-store"


def test_health_and_openapi_need_no_token(stack: Stack) -> None:
    """Health and the OpenAPI document need no token."""
    assert stack.request("GET /health").json == {"status": "ok", "version": __version__}
    assert stack.request("GET /openapi.json").json == openapi_document()


def test_unknown_route_returns_404(stack: Stack) -> None:
    """A route that the function does not have gets a 404 problem."""
    for function in ("auth", "upload", "files", "download", "status", "cleanup"):
        response = to_result(stack.invoke(function, build_event("PATCH /nowhere/{filename+}", filename="x")))
        assert (response.status, response.code) == (404, "route_not_found")
    default = {**build_event("GET /nowhere"), "routeKey": "$default"}
    assert to_result(stack.invoke("auth", default)).status == 404
