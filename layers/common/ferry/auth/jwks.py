"""Parse an untrusted third-party JSON Web Key Set (RFC 7517)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jwt.api_jwk import PyJWK
from jwt.exceptions import PyJWTError

MAX_KEYS = 100
"""Keys in one key set at most. A document with more is rejected."""
RSA_KEY_BITS = range(2048, 4096 + 1)
"""Sizes of RSA keys that are accepted, in bits."""
_RSA_MEMBERS, _EC_MEMBERS = ("kty", "n", "e"), ("kty", "crv", "x", "y")
_MAX_MEMBER_LENGTH = 1_000
"""Characters of one member at most; the modulus of a 4,096-bit key has 683."""
_MAX_RSA_EXPONENT = 2**32
"""Public exponents of RSA are below this: a larger one makes each verification slow."""
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def parse_jwks(document: bytes) -> dict[str, PyJWK]:
    """Return the usable keys by `kid`, each bound to the one algorithm of its type: RS256 or ES256.

    Skips keys of other types, curves and sizes, keys with private members, and keys for another use. Skips a `kid`
    that two different keys share.

    Raises:
        ValueError: the document is not a key set.
    """
    try:
        loaded = json.loads(document)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    entries = loaded.get("keys") if isinstance(loaded, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise ValueError(f"not a key set of at most {MAX_KEYS} keys")
    published: dict[str, list[Mapping[str, str]]] = {}
    for entry in entries:
        public = _public_members(entry)
        if public is not None:
            published.setdefault(entry["kid"], []).append(public)
    unambiguous = {kid: same[0] for kid, same in published.items() if all(each == same[0] for each in same)}
    keys = {kid: _to_pyjwk(public) for kid, public in unambiguous.items()}
    return {kid: key for kid, key in keys.items() if key is not None}


def _public_members(entry: Any) -> dict[str, str] | None:
    """Return the members that make up a public signing key of a supported type, or None."""
    if not isinstance(entry, dict) or entry.keys() & _PRIVATE_MEMBERS:
        return None
    members = {"RSA": _RSA_MEMBERS, "EC": _EC_MEMBERS}.get(str(entry.get("kty")))
    kid, operations = entry.get("kid"), entry.get("key_ops", ["verify"])
    if members is None or not isinstance(kid, str) or not 0 < len(kid) <= _MAX_MEMBER_LENGTH:
        return None
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    if entry.get("alg", _algorithm_for(entry["kty"])) != _algorithm_for(entry["kty"]):
        return None
    public = {name: entry.get(name) for name in members}
    if not all(isinstance(value, str) and len(value) <= _MAX_MEMBER_LENGTH for value in public.values()):
        return None
    return {name: str(value) for name, value in public.items()}


def _algorithm_for(key_type: str) -> str:
    return "RS256" if key_type == "RSA" else "ES256"


def _to_pyjwk(public: Mapping[str, str]) -> PyJWK | None:
    """Return the key, or None if its curve, size or numbers are not supported."""
    if public.get("crv", "P-256") != "P-256":
        return None
    try:
        key = PyJWK(dict(public), algorithm=_algorithm_for(public["kty"]))
        if public["kty"] == "RSA":
            numbers = key.key.public_numbers()
            if key.key.key_size not in RSA_KEY_BITS or numbers.e >= _MAX_RSA_EXPONENT:
                return None
    except (PyJWTError, ValueError, TypeError, OverflowError):
        return None
    return key
