"""Parsing an untrusted key set: which keys are used, skipped, and when the whole set is rejected."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ferry.auth.jwks import MAX_KEYS, parse_jwks
from tests.support.issuer import ec_jwk, rsa_jwk, rsa_key

P256 = ec.generate_private_key(ec.SECP256R1())
RSA, EC = rsa_jwk("rsa", rsa_key(1)), ec_jwk("ec", P256)


def parsed_kids(*entries: Any) -> set[str]:
    return set(parse_jwks(json.dumps({"keys": list(entries)}).encode()))


def without(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != name}


def test_key_is_bound_to_its_algorithm() -> None:
    """An RSA key verifies RS256 alone, a P-256 key ES256 alone, whatever a token's header says."""
    keys = parse_jwks(json.dumps({"keys": [RSA, EC]}).encode())
    assert {kid: key.algorithm_name for kid, key in keys.items()} == {"rsa": "RS256", "ec": "ES256"}


@pytest.mark.parametrize(
    "more",
    [{}, {"alg": "RS256"}, {"key_ops": ["verify"]}, {"x5t": "abc", "x5c": ["..."], "issuer": "as Entra has it"}],
)
def test_extra_members_are_ignored(more: dict[str, Any]) -> None:
    """Further members, which Cognito, Entra and Keycloak add, are ignored."""
    assert parsed_kids({**RSA, **more}) == {"rsa"}
    assert parsed_kids({**without(RSA, "use"), **more}) == {"rsa"}


@pytest.mark.parametrize(
    "entry",
    [
        {"kty": "oct", "kid": "hs", "k": "c2VjcmV0", "alg": "HS256"},
        {**RSA, "alg": "HS256"},
        {**RSA, "alg": "RS512"},
        {**RSA, "alg": "none"},
        {**RSA, "alg": ["RS256"]},
        {**RSA, "use": "enc"},
        {**RSA, "key_ops": ["encrypt"]},
        {**RSA, "key_ops": "verify"},
        {**RSA, "d": "AQAB"},
        {**RSA, "k": "c2VjcmV0"},
        {**RSA, "n": "AQAB"},
        {**RSA, "n": RSA["n"] * 4},
        {**RSA, "n": 5},
        {**RSA, "n": "not base64 !"},
        {**RSA, "e": "AQ"},
        {**RSA, "e": "Ag"},
        {**RSA, "e": "AQAAAAAAAAAB"},
        without(RSA, "n"),
        without(RSA, "kid"),
        {**RSA, "kid": 7},
        {**RSA, "kid": ""},
        {**RSA, "kid": "k" * 5000},
        {**RSA, "kty": "rsa"},
        {**RSA, "kty": ["RSA"]},
        {**EC, "crv": "P-384"},
        {**EC, "x": EC["y"]},
        {**EC, "y": ""},
        {**EC, "d": "AQAB"},
        ec_jwk("p384", ec.generate_private_key(ec.SECP384R1())),
        {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        rsa_jwk("short", rsa_key(9, bits=1024)),
        None,
        7,
        "RSA",
        [],
        {},
    ],
)
def test_untrusted_key_is_skipped(entry: Any) -> None:
    """An unsuitable key is skipped; the other keys of the set are used."""
    assert parsed_kids(entry, {**EC, "kid": "good"}) == {"good"}


def test_duplicate_kid_is_skipped() -> None:
    """A kid of two different keys is skipped, in any order; the same key twice counts as one."""
    other = ec_jwk("rsa", P256)
    for entries in ([RSA, other], [other, RSA], [RSA, other, RSA], [other, RSA, other, other]):
        assert parsed_kids(*entries, EC) == {"ec"}
    assert parsed_kids(RSA, RSA) == {"rsa"}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b'{"keys": null}',
        b'{"keys": {}}',
        b'{"keys": 7}',
        b"[" * 100_000,
        b'{"keys":' * 50_000,
        json.dumps({"keys": [EC] * (MAX_KEYS + 1)}).encode(),
    ],
)
def test_invalid_key_set_is_rejected(document: bytes) -> None:
    """A malformed or oversized key set raises `ValueError`, and no key of it is used."""
    with pytest.raises(ValueError):  # noqa: PT011 - of json or of parse_jwks; the message is not shown
        parse_jwks(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.sampled_from(["kty", "kid", "alg", "use", "key_ops", "n", "e", "crv", "x", "y"])


@given(base=st.sampled_from([RSA, EC]), changes=st.dictionaries(MEMBERS, JSON, min_size=1, max_size=3))
def test_fuzzed_key_set_never_raises(base: dict[str, Any], changes: dict[str, Any]) -> None:
    """With arbitrary values in a key's members, the next key is still found and nothing is raised."""
    assert "good" in parsed_kids({**base, **changes}, {**EC, "kid": "good"}) or changes.get("kid") == "good"
