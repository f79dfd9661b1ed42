"""Checking access tokens: JWTs signed ES256 (RFC 7519, RFC 8725)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from jwt.api_jwk import PyJWK
from jwt.api_jws import get_unverified_header
from jwt.api_jwt import PyJWT
from jwt.exceptions import PyJWTError
from jwt.types import Options

from ferry.auth.key_cache import KeySetCache
from ferry.errors import InvalidToken
from ferry.model.auth import PublicKey

LEEWAY_SECONDS = 30
SKIP_TIME_CHECKS: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
"""Options for PyJWT, which would ask its own clock: `check_times` asks ours."""
_CLAIM_TYPES = {"sub": str, "jti": str, "scope": str, "ns": str, "iat": int, "nbf": int, "exp": int}


def check_time_claims(claims: Mapping[str, Any], now_seconds: int) -> None:
    """Whether `exp`, and `nbf` and `iat` where they are, allow a token at `now` (epoch seconds), give or take `LEEWAY`.

    Raises:
        InvalidToken: they do not, or are no integers.
    """
    expires, earliest = claims["exp"], (claims.get("nbf", 0), claims.get("iat", 0))
    if any(type(time) is not int for time in (expires, *earliest)):
        raise InvalidToken
    if expires <= now_seconds - LEEWAY_SECONDS or max(earliest) > now_seconds + LEEWAY_SECONDS:
        raise InvalidToken


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request is from, and what it may do. Everything it can see is in `ns`. `issuer` is empty for Ferry."""

    client_id: str
    ns: str
    scopes: frozenset[str]
    issuer: str = ""


class TokenVerifier(Protocol):
    """What tells whom a token was issued to."""

    def verify(self, token: str) -> Principal:
        """Raises `InvalidToken`, `BackendUnavailable`."""
        ...


class InternalVerifier:
    """Checks tokens that Ferry issued against the published keys; a key, once parsed, is kept."""

    def __init__(self, key_set_cache: KeySetCache, *, issuer: str, audience: str) -> None:
        self._key_set_cache = key_set_cache
        self._issuer = issuer
        self._audience = audience
        self._jwt = PyJWT(options={**SKIP_TIME_CHECKS, "require": ["iss", "aud", *_CLAIM_TYPES], "strict_aud": True})
        self._parsed_keys: dict[str, tuple[PublicKey, PyJWK]] = {}

    def verify(self, token: str) -> Principal:
        """Who the token was issued to. Clocks may differ by `LEEWAY` seconds.

        Raises:
            InvalidToken: whatever is wrong with it; the reason is not told.
            BackendUnavailable: the published keys could not be read.
        """
        try:
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
        for name, kind in _CLAIM_TYPES.items():
            if type(claims[name]) is not kind:
                raise InvalidToken
        check_time_claims(claims, self._key_set_cache.clock() // 1000)
        if claims["iat"] < self._key_set_cache.revoked_before(claims["sub"]):
            raise InvalidToken
        return Principal(client_id=claims["sub"], ns=claims["ns"], scopes=frozenset(claims["scope"].split(" ")))

    def _to_pyjwk(self, key: PublicKey) -> PyJWK:
        seen = self._parsed_keys.get(key.kid)
        if seen is None or seen[0] != key:
            # Bound to ES256 here, so that no header of a token chooses how it is verified (RFC 8725 section 3.1).
            seen = (key, PyJWK(dict(key.jwk), algorithm="ES256"))
            self._parsed_keys[key.kid] = seen
        return seen[1]
