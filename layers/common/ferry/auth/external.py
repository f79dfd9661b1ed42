"""Tokens of an issuer outside: its keys, kept within bounds, and what its claims mean here (docs/decisions/0006)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from jwt.api_jwk import PyJWK
from jwt.api_jws import get_unverified_header
from jwt.api_jwt import PyJWT
from jwt.exceptions import PyJWTError

from ferry.auth.jwks import parse_jwks
from ferry.auth.verifier import SKIP_TIME_CHECKS, Principal, TokenVerifier, check_time_claims
from ferry.errors import BackendUnavailable, InvalidToken
from ferry.ports.types import Clock
from ferry.settings import ExternalIssuer

logger = logging.getLogger(__name__)

CACHE_TTL_MS = 300_000
"""Milliseconds for which the keys are believed without asking again."""
MAX_STALE_MS = 3_600_000
"""Milliseconds for which they serve while the issuer cannot be reached."""
REFETCH_INTERVAL_MS = 30_000
"""Milliseconds between two questions, whatever tokens come in."""
REFETCH_INTERVAL_WITHOUT_KEYS_MS = 5_000
"""The same where there are no keys, and every token has to be turned away."""

_NAMESPACE_PATTERN = re.compile(r"[\x21-\x7e]{1,128}")


class ExternalKeys:
    """The issuer's keys as one process knows them, by the wall clock. `fetch` raises `Exception`s of its own."""

    def __init__(self, fetch: Callable[[], bytes], clock: Clock) -> None:
        self.clock = clock
        self._fetch = fetch
        self._keys: dict[str, PyJWK] | None = None
        self._fetched_at = 0
        self._attempted_at: int | None = None
        self._last_error: Exception | None = None

    def get_key(self, kid: str) -> PyJWK | None:
        """The key of that id, None if the issuer has none. At most one question to the issuer.

        Raises:
            BackendUnavailable: there are no keys to judge by.
        """
        now = self.clock()
        if not self._is_younger_than(CACHE_TTL_MS, now) or kid not in (self._keys or {}):
            self._refresh(now)
        if self._keys is None or not self._is_younger_than(MAX_STALE_MS, now):
            raise BackendUnavailable from self._last_error
        return self._keys.get(kid)

    def _is_younger_than(self, max_age_ms: int, now: int) -> bool:
        return self._keys is not None and 0 <= now - self._fetched_at < max_age_ms

    def _refresh(self, now: int) -> None:
        pause = REFETCH_INTERVAL_MS if self._is_younger_than(MAX_STALE_MS, now) else REFETCH_INTERVAL_WITHOUT_KEYS_MS
        if self._attempted_at is not None and 0 <= now - self._attempted_at < pause:
            return
        self._attempted_at = now
        try:
            self._keys = parse_jwks(self._fetch())
            self._fetched_at = now
            self._last_error = None
        except Exception as error:  # noqa: BLE001 - whatever it is, the keys of before go on, or nobody is let in
            self._last_error = error
            logger.warning("the outside issuer's keys could not be read: %s", type(error).__qualname__)


class ExternalVerifier:
    """Checks the tokens of one issuer outside."""

    def __init__(self, keys: ExternalKeys, external_issuer: ExternalIssuer) -> None:
        self._keys = keys
        self._external_issuer = external_issuer
        self._jwt = PyJWT(options={**SKIP_TIME_CHECKS, "require": ["iss", "sub", "exp", "iat"], "verify_aud": False})

    def verify(self, token: str) -> Principal:
        """Who it was issued to, in the terms that the settings give its claims.

        Raises:
            InvalidToken: whatever is wrong with it; the reason is not told.
            BackendUnavailable: the issuer's keys are not to be had.
        """
        trust = self._external_issuer
        try:
            kid = get_unverified_header(token).get("kid")
            key = self._keys.get_key(kid) if isinstance(kid, str) else None
            if key is None:
                raise InvalidToken
            claims = self._jwt.decode(token, key, algorithms=[key.algorithm_name], issuer=trust.url)
        except (PyJWTError, ValueError) as error:
            raise InvalidToken from error
        check_time_claims(claims, self._keys.clock() // 1000)
        if not trust.audiences.intersection(_to_string_list(claims.get(trust.audience_claim))):
            raise InvalidToken
        ns, subject = claims.get(trust.namespace_claim), claims["sub"]
        if not isinstance(ns, str) or not _NAMESPACE_PATTERN.fullmatch(ns) or not isinstance(subject, str):
            raise InvalidToken
        return Principal(client_id=subject, ns=ns, scopes=self._scopes(claims), issuer=trust.url)

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        prefix = self._external_issuer.scope_prefix
        given = claims.get(self._external_issuer.scope_claim)
        words = given.split() if isinstance(given, str) else _to_string_list(given)
        return frozenset(word.removeprefix(prefix) for word in words if word.startswith(prefix))


class IssuerDispatchVerifier:
    """Ferry's own tokens and those of the issuer outside: each is checked by whom it says it is from."""

    def __init__(self, internal: TokenVerifier, external: TokenVerifier, external_issuer_url: str) -> None:
        self._internal = internal
        self._external = external
        self._external_issuer_url = external_issuer_url
        self._jwt = PyJWT()

    def verify(self, token: str) -> Principal:
        """Raises `InvalidToken`, `BackendUnavailable`."""
        try:
            # Only chooses who checks: that one then demands it.
            claimed = self._jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (PyJWTError, ValueError) as error:
            raise InvalidToken from error
        return (self._external if claimed == self._external_issuer_url else self._internal).verify(token)


def _to_string_list(value: object) -> list[str]:
    """A claim that is a text or a list of them, as a list; anything else is none."""
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
