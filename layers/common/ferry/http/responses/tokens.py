"""Response bodies of the token endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from ferry.auth.issuer import Token
from ferry.http.json_values import JsonSchema
from ferry.http.responses.members import Count

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
