"""Authentication of requests: the bearer token of the Authorization header (RFC 6750 section 2.1)."""

from __future__ import annotations

from collections.abc import Callable

from ferry.auth.verifier import Principal, TokenVerifier
from ferry.errors import InsufficientScope, InvalidToken, MissingToken
from ferry.http.request import Request
from ferry.http.router import Authenticate

READ_SCOPE = "files:read"
WRITE_SCOPE = "files:write"
SHARE_SCOPE = "files:share"
ADMIN_SCOPE = "files:admin"


def bearer_authenticator(verifier: Callable[[], TokenVerifier]) -> Authenticate:
    """Return the check for routes that require a scope. `verifier` is called for requests that have a token only."""

    def authenticate(request: Request, scope: str) -> Principal:
        """Return the principal of the request's token.

        Raises:
            MissingToken: the request has no Authorization header, or one of another scheme.
            InvalidToken: the token is empty, malformed, expired or revoked.
            InsufficientScope: the token lacks `scope`.
            BackendUnavailable: the keys could not be read.
        """
        scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            raise MissingToken
        if not token.strip():
            raise InvalidToken
        principal = verifier().verify(token.strip())
        if scope not in principal.scopes:
            raise InsufficientScope(
                f"The access token does not have the scope {scope}. {InsufficientScope.advice}", scope=scope
            )
        return principal

    return authenticate
