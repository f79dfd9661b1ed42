"""The response body of `GET /.well-known/jwks.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from ferry.http.json_values import JsonSchema
from ferry.model.auth import KeySet, PublicKey


@dataclass(frozen=True, slots=True)
class JsonWebKey:
    """A public key that verifies access tokens (RFC 7517 section 4)."""

    kty: Annotated[str, JsonSchema(const="EC")]
    """The key type."""
    crv: Annotated[str, JsonSchema(const="P-256")]
    """The curve."""
    x: str
    """The x coordinate, base64url."""
    y: str
    """The y coordinate, base64url."""
    kid: str
    """The id of the key; a token's header names it."""
    use: Literal["sig"] = "sig"
    """Always `sig`: the key verifies signatures."""
    alg: Literal["ES256"] = "ES256"
    """Always `ES256`."""

    @classmethod
    def from_public_key(cls, key: PublicKey) -> JsonWebKey:
        return cls(key.jwk["kty"], key.jwk["crv"], key.jwk["x"], key.jwk["y"], key.kid)


@dataclass(frozen=True, slots=True)
class JsonWebKeySet:
    """The keys that verify access tokens (RFC 7517 section 5)."""

    keys: Sequence[JsonWebKey]
    """The keys; several while keys are rotated."""

    @classmethod
    def from_key_set(cls, key_set: KeySet) -> JsonWebKeySet:
        return cls([JsonWebKey.from_public_key(key) for key in key_set.keys])
