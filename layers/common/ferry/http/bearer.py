"""Authentication of requests: the bearer token of the Authorization header (RFC 6750 section 2.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ferry.auth.verifier import Principal, TokenVerifier, is_link_token
from ferry.errors import InsufficientScope, InvalidToken, MissingToken
from ferry.http.request import Request
from ferry.http.router import Authenticate, AuthenticateLink

if TYPE_CHECKING:
    from ferry.links.downloads import LinkCaller
    from ferry.links.lookup import Links

READ_SCOPE = "files:read"
WRITE_SCOPE = "files:write"
SHARE_SCOPE = "files:share"
ADMIN_SCOPE = "files:admin"


def bearer_token(request: Request) -> str:
    """Return the token of a request. Raises `MissingToken`, and `InvalidToken` for an empty one."""
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer":
        raise MissingToken
    if not token.strip():
        raise InvalidToken
    return token.strip()


def link_authenticator(
    verifier: Callable[[], TokenVerifier], links: Callable[[], Links], client_address_header: Callable[[], str]
) -> AuthenticateLink:
    """Return the check for routes that take tokens of links. It loads nothing for a token of a client."""

    def authenticate(request: Request) -> LinkCaller | None:
        """Return the link of the request's token; None if it is the token of a client.

        Raises:
            MissingToken, InvalidToken: there is no valid token.
            LinkExpired, LinkRevoked: the link has ended.
            BackendUnavailable: the keys or the link could not be read.
        """
        token = bearer_token(request)
        if not is_link_token(token):
            return None
        from ferry.http.link_requests import network
        from ferry.link_errors import LinkNotFound, LinkRevoked
        from ferry.links.downloads import LinkCaller

        claims = verifier().verify(token).link_token
        if claims is None:
            raise InvalidToken
        try:
            link = links().get_active(claims.link_id)
        except LinkNotFound as error:
            raise LinkRevoked from error
        return LinkCaller(link, network(request, client_address_header()), claims.token_id, claims.expires_at)

    return authenticate


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
        principal = verifier().verify(bearer_token(request))
        if scope not in principal.scopes:
            raise InsufficientScope(
                f"The access token does not have the scope {scope}. {InsufficientScope.advice}", scope=scope
            )
        return principal

    return authenticate
