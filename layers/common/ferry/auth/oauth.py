"""Errors of the token endpoint (RFC 6749 section 5.2). They are not `FerryError`s, because OAuth defines another
form of the response.
"""

from __future__ import annotations

from typing import ClassVar


class OAuthError(Exception):
    """Base of the token endpoint's errors.

    Args:
        description: `error_description` of the response: what is wrong and what to send instead. It holds nothing that
            the client does not know.
        audit_fields: fields of the audit event. They name a client only if it exists, because an unknown client id may
            be a secret that was sent in the wrong place.
    """

    error: ClassVar[str] = "invalid_request"
    """`error` of the response."""

    def __init__(self, description: str, **audit_fields: str) -> None:
        super().__init__(description)
        self.description = description
        self.audit_fields = audit_fields


class InvalidTokenRequest(OAuthError):
    """A member is missing or repeated, or the client authenticates in two ways."""

    error = "invalid_request"


class InvalidClient(OAuthError):
    """Authentication failed. Unknown client, wrong secret, disabled client and none given look alike on purpose."""

    error = "invalid_client"

    def __init__(self, **audit_fields: str) -> None:
        super().__init__("client authentication failed; check client_id and client_secret", **audit_fields)


class UnsupportedGrantType(OAuthError):
    """The grant type is not client_credentials, or this service issues no tokens."""

    error = "unsupported_grant_type"

    def __init__(
        self, description: str = "this grant_type is not supported; send client_credentials", **audit_fields: str
    ) -> None:
        super().__init__(description, **audit_fields)


class InvalidScope(OAuthError):
    """The scope is malformed, or exceeds the client's scopes."""

    error = "invalid_scope"

    def __init__(self, **audit_fields: str) -> None:
        super().__init__(
            "the scope is malformed or exceeds this client's scopes; leave it out to get all of them", **audit_fields
        )
