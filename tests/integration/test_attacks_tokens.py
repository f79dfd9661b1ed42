"""Attacks on the bearer token. Every row opens nothing, and learns no more than that the token is not valid."""

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

INVALID = 'Bearer realm="ferry", error="invalid_token"'
MINE = ec.generate_private_key(ec.SECP256R1())


def encoded(value: object) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.get_unverified_header(token), claims, token.rpartition(".")[2]


def forged(stack: Stack, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """Signed by the service's own key, as by an attacker who got at the signer: only what is signed is wrong."""
    good_header, good_claims, _ = parts(stack.token())
    kept = {name: value for name, value in (good_claims | dict(claims)).items() if value is not None}
    signing = f"{encoded(good_header | dict(header))}.{encoded(kept)}"
    issuer = wiring.issuer()
    return f"{signing}.{encoded(issuer.signer.sign(issuer.key_ref, signing.encode()))}"


def my_own(stack: Stack, header: Mapping[str, Any]) -> str:
    """Signed by a key of the attacker's, for whatever the header says of keys."""
    good_header, claims, _ = parts(stack.token())
    return jwt.encode(claims, MINE, algorithm="ES256", headers=good_header | dict(header))


def my_jwk() -> dict[str, Any]:
    found: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(MINE.public_key(), as_dict=True)
    return found


def by_hmac(stack: Stack, key: bytes) -> str:
    header, claims, _ = parts(stack.token())
    signing = f"{encoded(header | {'alg': 'HS256'})}.{encoded(claims)}"
    return f"{signing}.{encoded(hmac.digest(key, signing.encode(), hashlib.sha256))}"


def refuse(stack: Stack, token: str) -> None:
    got = stack.call("GET /files", headers={"authorization": f"Bearer {token}"})
    assert (got.status, got.code, got.headers["www-authenticate"]) == (401, "invalid_token", INVALID)
    assert got.json["detail"] == stack.call("GET /files", headers={"authorization": "Bearer x"}).json["detail"]


def test_a_forged_token_would_pass_if_nothing_were_wrong_with_it(stack: Stack) -> None:
    """What the rows below change is the only thing wrong with their tokens."""
    good = forged(stack, {}, {})
    assert stack.call("GET /files", headers={"authorization": f"Bearer {good}"}).status == 200


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, 0, ["ES256"]])
@pytest.mark.parametrize("signed", [False, True])
def test_alg_none_in_any_spelling(stack: Stack, alg: object, signed: bool) -> None:
    """With the signature cut off, and with the one that was there."""
    header, claims, signature = parts(stack.token())
    refuse(stack, f"{encoded(header | {'alg': alg})}.{encoded(claims)}.{signature if signed else ''}")


@pytest.mark.parametrize("form", ["PEM", "DER", "point", "x", "JWK"])
def test_hs256_signed_with_the_public_key(stack: Stack, form: str) -> None:
    """Whoever takes the algorithm from the token takes the published key for a shared secret."""
    (jwk,) = stack.call("GET /.well-known/jwks.json").json["keys"]
    key = jwt.PyJWK(jwk).key
    forms = {
        "PEM": key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "DER": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "point": key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        "x": jwk["x"].encode(),
        "JWK": json.dumps(jwk).encode(),
    }
    refuse(stack, by_hmac(stack, forms[form]))


@pytest.mark.parametrize("alg", ["ES384", "ES512", "RS256", "PS256", "EdDSA", "ES256K", "HS256", "es256"])
def test_another_algorithm_over_the_right_signature(stack: Stack, alg: str) -> None:
    """Only the algorithm that is listed counts, written as it is."""
    refuse(stack, forged(stack, {"alg": alg}, {}))


@pytest.mark.parametrize(
    "kid",
    [
        "",
        "x",
        "../../dev/null",
        "' OR ''='",
        "KEYRING",
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
def test_a_swapped_kid(stack: Stack, kid: object) -> None:
    """A kid is looked for among the published ones and used for nothing else."""
    refuse(stack, forged(stack, {"kid": kid}, {}))


def test_a_token_without_a_kid(stack: Stack) -> None:
    """No key is tried that the token does not name, though there is but one."""
    header, claims, signature = parts(stack.token())
    del header["kid"]
    refuse(stack, f"{encoded(header)}.{encoded(claims)}.{signature}")


@pytest.mark.parametrize("header", ["jwk", "jku", "x5u", "x5c", "x5t"])
@pytest.mark.parametrize("named", [False, True])
def test_a_key_that_the_token_brings_along(stack: Stack, header: str, named: bool) -> None:
    """A key inside the header, or an address of one, is not looked at: nothing is fetched, nothing believed."""
    values: dict[str, object] = {
        "jwk": my_jwk(),
        "jku": "http://127.0.0.1:9/jwks.json",
        "x5u": "http://127.0.0.1:9/cert.pem",
        "x5c": ["MIIB"],
        "x5t": "AAAA",
    }
    kid = {} if named else {"kid": "mine"}
    refuse(stack, my_own(stack, {header: values[header], **kid}))


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": ["b64"], "b64": False}, {"b64": False}])
def test_headers_that_change_how_a_token_is_read(stack: Stack, header: dict[str, Any]) -> None:
    """Extensions that must be understood are not (RFC 7515 section 4.1.11, RFC 7797)."""
    refuse(stack, forged(stack, header, {}))


NOW = int(time.time())
CLAIMS: list[dict[str, Any]] = [
    {"exp": NOW - 31},
    {"exp": 0},
    {"exp": -1},
    {"nbf": NOW + 3_600},
    {"iat": NOW + 3_600},
    {"iss": "https://elsewhere.example"},
    {"iss": "ferry "},
    {"iss": ["ferry"]},
    {"aud": "another service"},
    {"aud": ["ferry"]},
    {"aud": "Ferry"},
    *({name: None} for name in ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "ns")),
    *({name: value} for name in ("sub", "jti", "scope", "ns") for value in (1, True, ["demo"], {"ns": "demo"})),
    *({name: value} for name in ("iat", "nbf", "exp") for value in (str(NOW), True, [NOW], 1.5, "soon")),
    {"iat": 10**400},
    {"nbf": 10**400},
]


@pytest.mark.parametrize("claims", CLAIMS, ids=[f"{number}-{'-'.join(row)}" for number, row in enumerate(CLAIMS)])
def test_claims_that_are_missing_wrong_or_outdated(stack: Stack, claims: dict[str, Any]) -> None:
    """Though the signature is right: expired, not yet valid, of another issuer or audience, of a wrong type."""
    refuse(stack, forged(stack, {}, claims))


def test_tampered_parts(stack: Stack) -> None:
    """A change in any of the three, the scope and the namespace above all; parts that are missing or too many."""
    token = stack.token("demo", READ)
    header, claims, signature = token.split(".")
    of_another = stack.token("other").split(".")
    more = parts(token)[1]
    for change in ({"scope": f"{READ} {ADMIN}"}, {"ns": "other"}, {"sub": "other"}, {"exp": 2**40}):
        refuse(stack, f"{header}.{encoded(more | change)}.{signature}")
    middle = len(signature) // 2
    flipped = "B" if signature[middle] == "A" else "A"
    for wrong in (
        f"{header}.{of_another[1]}.{signature}",
        f"{header}.{claims}.{of_another[2]}",
        f"{header}.{claims}.{signature[:middle]}{flipped}{signature[middle + 1 :]}",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        f"{header}..{signature}",
        f".{claims}.{signature}",
        f"{token}.",
        f"{token}.{signature}",
        f"{header}.{claims}.{encoded(bytes(64))}",
        f"{header}.{claims}.{encoded(bytes(1000))}",
        f" {header} . {claims} . {signature} ",
        token.upper(),
    ):
        refuse(stack, wrong)


HEADERS: list[object] = [
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
GARBAGE = [
    *("", ".", "..", "...", "a.b.c", "é", "😀.😀.😀", "\0.\0.\0", "x" * 9_000, "." * 9_000, "=.=.="),
    *(f"{encoded(header)}.e30.x" for header in HEADERS),
]


@pytest.mark.parametrize("token", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_token_at_all(stack: Stack, token: str) -> None:
    """Of any length that the gateway lets through, nested to any depth: refused, never a crash."""
    refuse(stack, token)


@pytest.mark.parametrize("depth", [200, 3_000])
def test_a_signed_token_whose_claims_are_a_bomb(stack: Stack, depth: int) -> None:
    """Should the signer ever sign such a thing, it is no token either."""
    header, _, _ = stack.token().split(".")
    signing = f"{header}.{encoded(b'[' * depth + b']' * depth)}"
    issuer = wiring.issuer()
    refuse(stack, f"{signing}.{encoded(issuer.signer.sign(issuer.key_ref, signing.encode()[:4096]))}")


def test_two_authorization_headers(stack: Stack) -> None:
    """The gateway joins them by a comma; neither is chosen."""
    good = f"Bearer {stack.token()}"
    for joined in (f"{good},{good}", f"{good}, Bearer x", f"Bearer x,{good}", f"Basic eDp5,{good}", f",{good}"):
        assert stack.call("GET /files", headers={"authorization": joined}).status == 401


@pytest.mark.parametrize("parameter", ["access_token", "token", "authorization", "Authorization", "bearer"])
def test_a_token_in_the_query(stack: Stack, parameter: str) -> None:
    """Addresses end up in logs (RFC 6750 section 5.3): a token there is no token."""
    for value in (stack.token(), f"Bearer {stack.token()}"):
        got = stack.call("GET /files", query={parameter: value}, token=None)
        assert (got.status, got.code) == (401, "missing_token")


def test_scopes_do_not_grow(stack: Stack) -> None:
    """Neither by asking for more, nor by writing them otherwise, nor by a narrow token."""
    stack.token("demo", READ)
    client = {"grant_type": "client_credentials", "client_id": f"demo-{READ}", "client_secret": "a secret of tests"}
    for scope in (ADMIN, f"{READ} {ADMIN}", f"{READ},{ADMIN}", f"{READ}\t{ADMIN}", f"{READ}\n{ADMIN}", "files:*", "*"):
        got = stack.post("POST /auth/token", client | {"scope": scope})
        assert (got.status, got.json["error"]) == (400, "invalid_scope")
    for scope in ("files:read-all", "files", "FILES:READ", "files:read\u200b", f"{READ}\u00a0{ADMIN}", f"x{READ}"):
        token = forged(stack, {}, {"scope": scope})
        assert stack.call("DELETE /cleanup", headers={"authorization": f"Bearer {token}"}).status in (401, 403)
        assert stack.call("GET /files", headers={"authorization": f"Bearer {token}"}).status in (200, 401, 403)
        if READ not in scope.split():
            assert stack.call("GET /files", headers={"authorization": f"Bearer {token}"}).status != 200
