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

from ferry.access.jwks import keys_of
from ferry.access.verify import NO_TIMES, Principal, TokenCheck, check_times
from ferry.errors import BackendUnavailable, InvalidToken
from ferry.ports import Clock
from ferry.settings import Outside

logger = logging.getLogger(__name__)

FRESH = 300_000
"""Milliseconds for which the keys are believed without asking again."""
STALE = 3_600_000
"""Milliseconds for which they serve while the issuer cannot be reached."""
RETRY = 30_000
"""Milliseconds between two questions, whatever tokens come in."""
RETRY_WITHOUT = 5_000
"""The same where there are no keys, and every token has to be turned away."""

_NAMESPACE = re.compile(r"[\x21-\x7e]{1,128}")


class OutsideKeys:
    """The issuer's keys as one process knows them, by the wall clock. `fetch` raises `Exception`s of its own."""

    def __init__(self, fetch: Callable[[], bytes], clock: Clock) -> None:
        self.clock = clock
        self._fetch = fetch
        self._keys: dict[str, PyJWK] | None = None
        self._fetched_at = 0
        self._tried_at: int | None = None
        self._failure: Exception | None = None

    def key(self, kid: str) -> PyJWK | None:
        """The key of that id, None if the issuer has none. At most one question to the issuer.

        Raises:
            BackendUnavailable: there are no keys to judge by.
        """
        now = self.clock()
        if not self._younger_than(FRESH, now) or kid not in (self._keys or {}):
            self._refresh(now)
        if self._keys is None or not self._younger_than(STALE, now):
            raise BackendUnavailable from self._failure
        return self._keys.get(kid)

    def _younger_than(self, age: int, now: int) -> bool:
        return self._keys is not None and 0 <= now - self._fetched_at < age

    def _refresh(self, now: int) -> None:
        pause = RETRY if self._younger_than(STALE, now) else RETRY_WITHOUT
        if self._tried_at is not None and 0 <= now - self._tried_at < pause:
            return
        self._tried_at = now
        try:
            self._keys = keys_of(self._fetch())
            self._fetched_at = now
            self._failure = None
        except Exception as error:  # noqa: BLE001 - whatever it is, the keys of before go on, or nobody is let in
            self._failure = error
            logger.warning("the outside issuer's keys could not be read: %s", type(error).__qualname__)


class OutsideVerifier:
    """Checks the tokens of one issuer outside."""

    def __init__(self, keys: OutsideKeys, trust: Outside) -> None:
        self._keys = keys
        self._trust = trust
        self._jwt = PyJWT(options={**NO_TIMES, "require": ["iss", "sub", "exp", "iat"], "verify_aud": False})

    def principal(self, token: str) -> Principal:
        """Who it was issued to, in the terms that the settings give its claims.

        Raises:
            InvalidToken: whatever is wrong with it; the reason is not told.
            BackendUnavailable: the issuer's keys are not to be had.
        """
        trust = self._trust
        try:
            kid = get_unverified_header(token).get("kid")
            key = self._keys.key(kid) if isinstance(kid, str) else None
            if key is None:
                raise InvalidToken
            claims = self._jwt.decode(token, key, algorithms=[key.algorithm_name], issuer=trust.issuer)
        except (PyJWTError, ValueError) as error:
            raise InvalidToken from error
        check_times(claims, self._keys.clock() // 1000)
        if not trust.audiences.intersection(_texts(claims.get(trust.audience_claim))):
            raise InvalidToken
        ns, subject = claims.get(trust.namespace_claim), claims["sub"]
        if not isinstance(ns, str) or not _NAMESPACE.fullmatch(ns) or not isinstance(subject, str):
            raise InvalidToken
        return Principal(client_id=subject, ns=ns, scopes=self._scopes(claims), issuer=trust.issuer)

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        prefix = self._trust.scope_prefix
        given = claims.get(self._trust.scope_claim)
        words = given.split() if isinstance(given, str) else _texts(given)
        return frozenset(word.removeprefix(prefix) for word in words if word.startswith(prefix))


class EitherVerifier:
    """Ferry's own tokens and those of the issuer outside: each is checked by whom it says it is from."""

    def __init__(self, own: TokenCheck, outside: TokenCheck, issuer: str) -> None:
        self._own = own
        self._outside = outside
        self._issuer = issuer
        self._jwt = PyJWT()

    def principal(self, token: str) -> Principal:
        """Raises `InvalidToken`, `BackendUnavailable`."""
        try:
            # Only chooses who checks: that one then demands it.
            claimed = self._jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (PyJWTError, ValueError) as error:
            raise InvalidToken from error
        return (self._outside if claimed == self._issuer else self._own).principal(token)


def _texts(value: object) -> list[str]:
    """A claim that is a text or a list of them, as a list; anything else is none."""
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
