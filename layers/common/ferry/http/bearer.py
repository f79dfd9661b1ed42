"""Who a request is from: the bearer token in its Authorization header (RFC 6750 section 2.1)."""

from __future__ import annotations

from collections.abc import Callable

from ferry.auth.verifier import Principal, TokenVerifier
from ferry.errors import InsufficientScope, InvalidToken, MissingToken
from ferry.http.request import Request
from ferry.http.router import Authenticate

READ_SCOPE = "files:read"
WRITE_SCOPE = "files:write"
ADMIN_SCOPE = "files:admin"


def bearer_authenticator(verifier: Callable[[], TokenVerifier]) -> Authenticate:
    """The check for routes that need a scope; `verifier` is asked for only when a token is there to be checked."""

    def authenticate(request: Request, scope: str) -> Principal:
        """Raises `MissingToken`, `InvalidToken`, `InsufficientScope`, `BackendUnavailable`."""
        scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            # Another scheme is no attempt to send a token.
            raise MissingToken
        if not token.strip():
            raise InvalidToken
        principal = verifier().verify(token.strip())
        if scope not in principal.scopes:
            raise InsufficientScope(f"this needs the scope {scope}", scope=scope)
        return principal

    return authenticate
