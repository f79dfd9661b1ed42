"""Response bodies of the auth function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from ferry.auth.issuer import Token
from ferry.http.json_values import JsonSchema
from ferry.http.responses.members import Count
from ferry.model.auth import KeySet, PublicKey

OAUTH_ERRORS = (
    "invalid_request",
    "invalid_client",
    "unsupported_grant_type",
    "invalid_scope",
    "temporarily_unavailable",
    "server_error",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """An access token (RFC 6749 section 5.1)."""

    access_token: str
    """A JWT, signed with ES256. Send it as `Authorization: Bearer <token>`."""
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme
    """Always `Bearer`."""
    expires_in: Count
    """Seconds until the token expires."""
    scope: str
    """The granted scopes, separated by spaces."""

    @classmethod
    def from_token(cls, token: Token) -> AccessToken:
        return cls(access_token=token.access_token, expires_in=token.expires_in, scope=token.scope)


@dataclass(frozen=True, slots=True)
class OAuthErrorBody:
    """An error of the token endpoint (RFC 6749 section 5.2)."""

    error: Annotated[str, JsonSchema(enum=OAUTH_ERRORS)]
    """The error, for programs."""
    error_description: str
    """The error, for people."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The service responds."""

    status: Literal["ok"] = "ok"
    """Always `ok`."""
    version: str
    """The version of Ferry."""
