"""What the token endpoint refuses (RFC 6749 section 5.2). Not Ferry errors: they have another shape on the wire."""

from __future__ import annotations

from typing import ClassVar


class OAuthError(Exception):
    """Base; `description` is for people and tells nothing that the client does not know. `noted` is for the audit
    event: it names a client only if there is one, for what was sent in its place may be a secret.
    """

    error: ClassVar[str] = "invalid_request"

    def __init__(self, description: str, **audit_fields: str) -> None:
        super().__init__(description)
        self.description = description
        self.audit_fields = audit_fields


class InvalidTokenRequest(OAuthError):
    """A member is missing, given twice, or the client authenticates in two ways at once."""

    error = "invalid_request"


class InvalidClient(OAuthError):
    """Unknown client, wrong secret, disabled client, or none given: deliberately one and the same."""

    error = "invalid_client"

    def __init__(self, **audit_fields: str) -> None:
        super().__init__("client authentication failed", **audit_fields)


class UnsupportedGrantType(OAuthError):
    error = "unsupported_grant_type"

    def __init__(
        self, description: str = "the only grant_type here is client_credentials", **audit_fields: str
    ) -> None:
        super().__init__(description, **audit_fields)


class InvalidScope(OAuthError):
    error = "invalid_scope"

    def __init__(self, **audit_fields: str) -> None:
        super().__init__("the scope is malformed, or more than this client has", **audit_fields)
