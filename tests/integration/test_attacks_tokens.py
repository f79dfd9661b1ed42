"""Attacks with forged bearer tokens. Each is rejected, with a response that tells only that the token is invalid."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ferry import wiring
from tests.integration.stack import ADMIN, READ, Stack

INVALID_TOKEN_CHALLENGE = 'Bearer realm="ferry", error="invalid_token"'
ATTACKER_KEY = ec.generate_private_key(ec.SECP256R1())


def base64url_json(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def token_parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.get_unverified_header(token), claims, token.rpartition(".")[2]


def token_by_service_key(stack: Stack, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Return a token with changed header and claims, signed with the service's own key."""
    valid_header, valid_claims, _ = token_parts(stack.token())
    kept = {name: value for name, value in (valid_claims | dict(claims)).items() if value is not None}
    signing = f"{base64url_json(valid_header | dict(header))}.{base64url_json(kept)}"
    issuer = wiring.token_issuer()
    return f"{signing}.{base64url_json(issuer.signer.sign(issuer.key_ref, signing.encode()))}"


def token_by_attacker_key(stack: Stack, header: Mapping[str, Any]) -> str:
    """Return a token with a changed header, signed with a key of the attacker."""
    valid_header, claims, _ = token_parts(stack.token())
    return jwt.encode(claims, ATTACKER_KEY, algorithm="ES256", headers=valid_header | dict(header))


def attacker_jwk() -> dict[str, Any]:
    found: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(ATTACKER_KEY.public_key(), as_dict=True)
    return found


def token_by_hmac(stack: Stack, key: bytes) -> str:
    header, claims, _ = token_parts(stack.token())
    signing = f"{base64url_json(header | {'alg': 'HS256'})}.{base64url_json(claims)}"
    return f"{signing}.{base64url_json(hmac.digest(key, signing.encode(), hashlib.sha256))}"


def assert_rejected(stack: Stack, token: str) -> None:
    """Fail unless the token gets the same 401 as any invalid token."""
    response = stack.request("GET /files", headers={"authorization": f"Bearer {token}"})
    assert (response.status, response.code) == (401, "invalid_token")
    assert response.headers["www-authenticate"] == INVALID_TOKEN_CHALLENGE
    assert response.json["detail"] == stack.request("GET /files", headers={"authorization": "Bearer x"}).json["detail"]


def test_unaltered_forged_token_is_accepted(stack: Stack) -> None:
    """A token that is built as below but unchanged is accepted, so the changes are what is rejected."""
    token = token_by_service_key(stack, {}, {})
    assert stack.request("GET /files", headers={"authorization": f"Bearer {token}"}).status == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 0, ["ES256"]])
@pytest.mark.parametrize("signed", [False, True])
def test_alg_none_is_rejected(stack: Stack, alg: object, signed: bool) -> None:
    """No spelling of the algorithm `none` is accepted, with or without the original signature."""
    header, claims, signature = token_parts(stack.token())
    assert_rejected(
        stack, f"{base64url_json(header | {'alg': alg})}.{base64url_json(claims)}.{signature if signed else ''}"
    )


@pytest.mark.parametrize("form", ["PEM", "DER", "point", "x", "JWK"])
def test_hs256_with_public_key_is_rejected(stack: Stack, form: str) -> None:
    """The published key is never used as a shared secret for HS256."""
    (jwk,) = stack.request("GET /.well-known/jwks.json").json["keys"]
    key = jwt.PyJWK(jwk).key
    forms = {
        "PEM": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "point": key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        "x": jwk["x"].encode(),
        "JWK": json.dumps(jwk).encode(),
    }
    assert_rejected(stack, token_by_hmac(stack, forms[form]))


@pytest.mark.parametrize("alg", ["ES384", "ES512", "RS256", "PS256", "EdDSA", "ES256K", "HS256", "es256"])
def test_other_algorithm_is_rejected(stack: Stack, alg: str) -> None:
    """Only ES256 is accepted, in exactly that spelling."""
    assert_rejected(stack, token_by_service_key(stack, {"alg": alg}, {}))


@pytest.mark.parametrize(
    "kid",
    [
        "",
        "x",
        "../../dev/null",
        "' OR ''='",
        "KEY_SET",
        "\0",
        "é" * 100,
        "x" * 5000,
        None,
        1,
        True,
        ["x"],
        {"kid": "x"},
    ],
    ids=repr,
)
def test_unknown_kid_is_rejected(stack: Stack, kid: object) -> None:
    """A kid that is not published is rejected, whatever it contains."""
    assert_rejected(stack, token_by_service_key(stack, {"kid": kid}, {}))


def test_missing_kid_is_rejected(stack: Stack) -> None:
    """A token without a kid is rejected, although only one key is published."""
    header, claims, signature = token_parts(stack.token())
    del header["kid"]
    assert_rejected(stack, f"{base64url_json(header)}.{base64url_json(claims)}.{signature}")


@pytest.mark.parametrize("header", ["jwk", "jku", "x5u", "x5c", "x5t"])
@pytest.mark.parametrize("without_kid", [False, True])
def test_key_in_token_header_is_ignored(stack: Stack, header: str, without_kid: bool) -> None:
    """A key in the token's header, or its URL, is neither used nor fetched."""
    values: dict[str, object] = {
        "jwk": attacker_jwk(),
        "jku": "http://127.0.0.1:9/jwks.json",
        "x5u": "http://127.0.0.1:9/cert.pem",
        "x5c": ["MIIB"],
        "x5t": "AAAA",
    }
    kid = {} if without_kid else {"kid": "mine"}
    assert_rejected(stack, token_by_attacker_key(stack, {header: values[header], **kid}))


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"b64": False}])
def test_critical_header_is_rejected(stack: Stack, header: dict[str, Any]) -> None:
    """A critical extension is rejected (RFC 7515 section 4.1.11, RFC 7797)."""
    assert_rejected(stack, token_by_service_key(stack, header, {}))


NOW_SECONDS = int(time.time())
INVALID_CLAIMS: list[dict[str, Any]] = [
    {"exp": NOW_SECONDS - 31},
    {"exp": 0},
    {"exp": -1},
    {"nbf": NOW_SECONDS + 3_600},
    {"iat": NOW_SECONDS + 3_600},
    {"iss": "https://elsewhere.example"},
    {"iss": "ferry "},
    {"iss": ["ferry"]},
    {"aud": "another service"},
    {"aud": ["ferry"]},
    {"aud": "Ferry"},
    *({name: None} for name in ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "ns")),
    *({name: value} for name in ("sub", "jti", "scope", "ns") for value in (1, True, ["demo"], {"ns": "demo"})),
    *(
        {name: value}
        for name in ("iat", "nbf", "exp")
        for value in (str(NOW_SECONDS), True, [NOW_SECONDS], 1.5, "soon")
    ),
    {"iat": 10**400},
    {"nbf": 10**400},
]


@pytest.mark.parametrize(
    "claims", INVALID_CLAIMS, ids=[f"{number}-{'-'.join(row)}" for number, row in enumerate(INVALID_CLAIMS)]
)
def test_invalid_claims_are_rejected(stack: Stack, claims: dict[str, Any]) -> None:
    """A correctly signed token with expired, foreign, missing or wrongly typed claims is rejected."""
    assert_rejected(stack, token_by_service_key(stack, {}, claims))


def test_tampered_token_is_rejected(stack: Stack) -> None:
    """A change of any part, or a missing or additional part, is rejected."""
    token = stack.token("demo", READ)
    header, claims, signature = token.split(".")
    other_parts = stack.token("other").split(".")
    decoded_claims = token_parts(token)[1]
    for change in ({"scope": f"{READ} {ADMIN}"}, {"ns": "other"}, {"sub": "other"}, {"exp": 2**40}):
        assert_rejected(stack, f"{header}.{base64url_json(decoded_claims | change)}.{signature}")
    middle = len(signature) // 2
    flipped = "B" if signature[middle] == "A" else "A"
    for tampered in (
        f"{header}.{other_parts[1]}.{signature}",
        f"{header}.{claims}.{other_parts[2]}",
        f"{header}.{claims}.{signature[:middle]}{flipped}{signature[middle + 1 :]}",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        f"{header}..{signature}",
        f".{claims}.{signature}",
        f"{token}.",
        f"{token}.{signature}",
        f"{header}.{claims}.{base64url_json(bytes(64))}",
        f"{header}.{claims}.{base64url_json(bytes(1000))}",
        f" {header} . {claims} . {signature} ",
        token.upper(),
    ):
        assert_rejected(stack, tampered)


INVALID_HEADERS: list[object] = [
    b"[" * 6_000,
    b"[" * 3_000 + b"]" * 3_000,
    b'{"a":' * 1_200,
    {"alg": "ES256", "kid": "x" * 6_000},
    b'{"alg":"ES256","kid":' + b"9" * 6_000 + b"}",
    b'{"alg":"none","alg":"ES256"}',
    [],
    "x",
    None,
    b"\xff\xfe",
]
INVALID_TOKENS = [
    *("", ".", "..", "...", "a.b.c", "é", "😀.😀.😀", "\0.\0.\0", "x" * 9_000, "." * 9_000, "=.=.="),
    *(f"{base64url_json(header)}.e30.x" for header in INVALID_HEADERS),
]


@pytest.mark.parametrize("token", INVALID_TOKENS, ids=range(len(INVALID_TOKENS)))
def test_malformed_token_is_rejected(stack: Stack, token: str) -> None:
    """A malformed, oversized or deeply nested token is rejected without a crash."""
    assert_rejected(stack, token)


@pytest.mark.parametrize("depth", [200, 3_000])
def test_signed_claims_bomb_is_rejected(stack: Stack, depth: int) -> None:
    """Deeply nested claims are rejected even with a signature."""
    header, _, _ = stack.token().split(".")
    signing = f"{header}.{base64url_json(b'[' * depth + b']' * depth)}"
    issuer = wiring.token_issuer()
    assert_rejected(stack, f"{signing}.{base64url_json(issuer.signer.sign(issuer.key_ref, signing.encode()[:4096]))}")


def test_two_authorization_headers_are_rejected(stack: Stack) -> None:
    """Two Authorization headers, which API Gateway joins with a comma, are rejected."""
    valid = f"Bearer {stack.token()}"
    for joined in (f"{valid},{valid}", f"{valid}, Bearer x", f"Bearer x,{valid}", f"Basic eDp5,{valid}", f",{valid}"):
        assert stack.request("GET /files", headers={"authorization": joined}).status == 401


@pytest.mark.parametrize("parameter", ["access_token", "token", "authorization", "Authorization", "bearer"])
def test_token_in_query_is_ignored(stack: Stack, parameter: str) -> None:
    """A token in the query is ignored, because URLs are logged (RFC 6750 section 5.3)."""
    for value in (stack.token(), f"Bearer {stack.token()}"):
        response = stack.request("GET /files", query={parameter: value}, token=None)
        assert (response.status, response.code) == (401, "missing_token")


def test_scope_cannot_be_escalated(stack: Stack) -> None:
    """A client cannot get more scopes, by requesting them or by another spelling."""
    stack.token("demo", READ)
    credentials = {
        "grant_type": "client_credentials",
        "client_id": f"demo-{READ}",
        "client_secret": "a secret of tests",
    }
    for scope in (ADMIN, f"{READ} {ADMIN}", f"{READ},{ADMIN}", f"{READ}\t{ADMIN}", f"{READ}\n{ADMIN}", "files:*", "*"):
        response = stack.post_json("POST /auth/token", credentials | {"scope": scope})
        assert (response.status, response.json["error"]) == (400, "invalid_scope")
    for scope in ("files:read-all", "files", "FILES:READ", "files:read\u200b", f"{READ}\u00a0{ADMIN}", f"x{READ}"):
        token = token_by_service_key(stack, {}, {"scope": scope})
        assert stack.request("DELETE /cleanup", headers={"authorization": f"Bearer {token}"}).status in (401, 403)
        assert stack.request("GET /files", headers={"authorization": f"Bearer {token}"}).status in (200, 401, 403)
        if READ not in scope.split():
            assert stack.request("GET /files", headers={"authorization": f"Bearer {token}"}).status != 200
