"""Verify tokens of links: JWTs of a type and an audience of their own (docs/decisions/0014)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwt.api_jws import get_unverified_header
from jwt.api_jwt import PyJWT
from jwt.exceptions import PyJWTError

from ferry.auth.link_tokens import LINK_AUDIENCE
from ferry.auth.verifier import (
    LINK_JWT_TYPE,
    SKIP_TIME_CHECKS,
    LinkTokenClaims,
    check_canonical,
    check_time_claims,
    verifying_key,
)
from ferry.errors import InvalidToken
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from ferry.auth.key_cache import KeySetCache

_CLAIM_TYPES = {"sub": str, "jti": str, "scope": str, "iat": int, "nbf": int, "exp": int}


class LinkVerifier:
    """Verifies tokens of links against the published keys, also where an external issuer issues those of clients."""

    def __init__(self, key_set_cache: KeySetCache, *, issuer: str) -> None:
        self._key_set_cache = key_set_cache
        self._issuer = issuer
        self._jwt = PyJWT(options={**SKIP_TIME_CHECKS, "require": ["iss", "aud", *_CLAIM_TYPES], "strict_aud": True})

    def verify(self, token: str) -> LinkTokenClaims:
        """Return the claims of the token.

        Raises:
            InvalidToken: it is not a valid token of a link. The reason is withheld.
            BackendUnavailable: the published keys could not be read.
        """
        try:
            check_canonical(token)
            header = get_unverified_header(token)
            if header.get("typ") != LINK_JWT_TYPE:
                raise InvalidToken
            kid = header.get("kid")
            key = self._key_set_cache.get_key(kid) if isinstance(kid, str) else None
            if key is None:
                raise InvalidToken
            claims = self._jwt.decode(
                token, verifying_key(key), algorithms=["ES256"], audience=LINK_AUDIENCE, issuer=self._issuer
            )
        except (PyJWTError, ValueError) as error:
            raise InvalidToken from error
        if any(type(claims[name]) is not claim_type for name, claim_type in _CLAIM_TYPES.items()):
            raise InvalidToken
        check_time_claims(claims, self._key_set_cache.clock() // SECOND_MS)
        return LinkTokenClaims(claims["sub"], claims["jti"], claims["exp"] * SECOND_MS)
