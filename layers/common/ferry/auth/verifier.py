"""Verify access tokens that Ferry issued: JWTs signed with ES256 (RFC 7519, RFC 8725)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jwt.api_jwk import PyJWK
from jwt.api_jws import get_unverified_header
from jwt.api_jwt import PyJWT
from jwt.exceptions import PyJWTError
from jwt.utils import base64url_decode, base64url_encode

from ferry.errors import InvalidToken
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from jwt.types import Options

    from ferry.auth.key_cache import KeySetCache
    from ferry.model.auth import PublicKey

LEEWAY_SECONDS = 30
"""Difference that the issuer's clock and this one may have."""
SKIP_TIME_CHECKS: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
"""Options for PyJWT, which reads the system clock; `check_time_claims` uses the injected one."""
_CLAIM_TYPES = {"sub": str, "jti": str, "scope": str, "ns": str, "iat": int, "nbf": int, "exp": int}


def check_time_claims(claims: Mapping[str, Any], now_seconds: int) -> None:
    """Check `exp`, and `nbf` and `iat` if present, with `LEEWAY_SECONDS` of tolerance.

    Raises:
        InvalidToken: the token has expired, is not valid yet, or one of the claims is not an integer.
    """
    expires, earliest = claims["exp"], (claims.get("nbf", 0), claims.get("iat", 0))
    if any(type(time) is not int for time in (expires, *earliest)):
        raise InvalidToken
    if expires <= now_seconds - LEEWAY_SECONDS or max(earliest) > now_seconds + LEEWAY_SECONDS:
        raise InvalidToken


LINK_JWT_TYPE = "ferry-link+jwt"
"""The `typ` of the header of links' tokens (`ferry.auth.link_tokens`)."""

_MAX_HEADER_LENGTH = 1_024
"""Characters of a header that is decoded to read its type."""


def is_link_token(token: str) -> bool:
    """Return whether the unverified header of a token has the type of links' tokens."""
    header = token.partition(".")[0]
    if len(header) > _MAX_HEADER_LENGTH:
        return False
    try:
        members = json.loads(base64url_decode(header))
    except (ValueError, RecursionError):
        return False
    return isinstance(members, dict) and members.get("typ") == LINK_JWT_TYPE


@dataclass(frozen=True, slots=True)
class LinkTokenClaims:
    """The claims of a link's token. The link itself may have ended."""

    link_id: str
    """Its `sub` claim."""
    token_id: str
    """Its `jti` claim."""
    expires_at: int
    """Its `exp` claim, in epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The client that sends a request."""

    client_id: str
    """The token's `sub`."""
    ns: str
    """The namespace. The client sees nothing outside it."""
    scopes: frozenset[str]
    """What it may do: `files:read`, `files:write`, `files:share`, `files:admin`; others are ignored."""
    issuer: str = ""
    """URL of the external issuer; empty for Ferry's own tokens."""
    link_token: LinkTokenClaims | None = None
    """The token of a link, which has neither a namespace nor scopes; None for a client."""


class TokenVerifier(Protocol):
    """Verifies access tokens."""

    def verify(self, token: str) -> Principal:
        """Return the client that the token was issued to. Raises `InvalidToken`, `BackendUnavailable`."""
        ...


class LinkTokenVerifier(Protocol):
    """Verifies tokens of links."""

    def verify(self, token: str) -> LinkTokenClaims:
        """Return the claims of the token. Raises `InvalidToken`, `BackendUnavailable`."""
        ...


def check_canonical(token: str) -> None:
    """Raise `InvalidToken` unless the base64 of the token is canonical (RFC 7515 section 2); decoders accept others."""
    for segment in token.split("."):
        if base64url_encode(base64url_decode(segment)).decode() != segment:
            raise InvalidToken


def verifying_key(key: PublicKey) -> PyJWK:
    """Return a published key as PyJWT takes it.

    Bound to ES256, so that a token's header cannot choose the algorithm (RFC 8725 section 3.1).
    """
    return PyJWK(dict(key.jwk), algorithm="ES256")


class LinkDispatchVerifier:
    """Verifies tokens of links by one verifier, all others by another one.

    Args:
        clients: the verifier of the tokens of clients.
        links: returns that of links; called for tokens of links only.
    """

    def __init__(self, clients: TokenVerifier, links: Callable[[], LinkTokenVerifier]) -> None:
        self._clients = clients
        self._links = links

    def verify(self, token: str) -> Principal:
        """Return the client of a client's token; for the token of a link a principal without scopes.

        Routes without a variant for links reject that, because it lacks their scope. Raises `InvalidToken`,
        `BackendUnavailable`.
        """
        if not is_link_token(token):
            return self._clients.verify(token)
        return Principal("", "", frozenset(), link_token=self._links().verify(token))


class InternalVerifier:
    """Verifies tokens that Ferry issued against the published keys. Parsed keys are cached."""

    def __init__(self, key_set_cache: KeySetCache, *, issuer: str, audience: str) -> None:
        self._key_set_cache = key_set_cache
        self._issuer = issuer
        self._audience = audience
        self._jwt = PyJWT(options={**SKIP_TIME_CHECKS, "require": ["iss", "aud", *_CLAIM_TYPES], "strict_aud": True})
        self._parsed_keys: dict[str, tuple[PublicKey, PyJWK]] = {}

    def verify(self, token: str) -> Principal:
        """Return the client that the token was issued to.

        Raises:
            InvalidToken: the token is not valid, or was revoked. The reason is withheld.
            BackendUnavailable: the published keys could not be read.
        """
        try:
            check_canonical(token)
            kid = get_unverified_header(token).get("kid")
            key = self._key_set_cache.get_key(kid) if isinstance(kid, str) else None
            if key is None:
                raise InvalidToken
            claims = self._jwt.decode(
                token,
                self._to_pyjwk(key),
                algorithms=["ES256"],
                audience=self._audience,
                issuer=self._issuer,
            )
        except (PyJWTError, ValueError) as error:
            raise InvalidToken from error
        for name, claim_type in _CLAIM_TYPES.items():
            if type(claims[name]) is not claim_type:
                raise InvalidToken
        check_time_claims(claims, self._key_set_cache.clock() // SECOND_MS)
        if claims["iat"] < self._key_set_cache.revoked_before(claims["sub"]):
            raise InvalidToken
        return Principal(client_id=claims["sub"], ns=claims["ns"], scopes=frozenset(claims["scope"].split(" ")))

    def _to_pyjwk(self, key: PublicKey) -> PyJWK:
        cached = self._parsed_keys.get(key.kid)
        if cached is None or cached[0] != key:
            cached = (key, verifying_key(key))
            self._parsed_keys[key.kid] = cached
        return cached[1]
