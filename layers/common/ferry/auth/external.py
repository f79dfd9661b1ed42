"""Verify tokens of an external issuer against its published keys (docs/decisions/0006)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jwt.api_jws import get_unverified_header
from jwt.api_jwt import PyJWT
from jwt.exceptions import PyJWTError

from ferry.auth.jwks import parse_jwks
from ferry.auth.verifier import SKIP_TIME_CHECKS, Principal, TokenVerifier, check_canonical, check_time_claims
from ferry.errors import BackendUnavailable, InvalidToken
from ferry.rules.durations import HOUR_MS, MINUTE_MS, SECOND_MS

if TYPE_CHECKING:
    from jwt.api_jwk import PyJWK

    from ferry.ports.types import Clock
    from ferry.settings import ExternalIssuer

logger = logging.getLogger(__name__)

CACHE_TTL_MS = 5 * MINUTE_MS
"""Age up to which the fetched keys are used without fetching them again."""
MAX_STALE_MS = HOUR_MS
"""Age up to which the fetched keys are used while the issuer is unreachable."""
REFETCH_INTERVAL_MS = 30 * SECOND_MS
"""Minimum time between two fetches: tokens with unknown key ids cannot cause more."""
REFETCH_INTERVAL_WITHOUT_KEYS_MS = 5 * SECOND_MS
"""The same while there are no usable keys, so that every token is rejected."""

_NAMESPACE_PATTERN = re.compile(r"[\x21-\x7e]{1,128}")


class ExternalKeys:
    """The issuer's keys, cached by one process.

    Args:
        fetch: returns the key set document. Any exception counts as a failed fetch.
        clock: the wall clock, because a monotonic clock may stand still while the process is frozen.
    """

    def __init__(self, fetch: Callable[[], bytes], clock: Clock) -> None:
        self.clock = clock
        self._fetch = fetch
        self._keys: dict[str, PyJWK] | None = None
        self._fetched_at = 0
        self._attempted_at: int | None = None
        self._last_error: Exception | None = None

    def get_key(self, kid: str) -> PyJWK | None:
        """Return the key of that id, or None if the issuer has none. Fetches the key set once at most.

        Raises:
            BackendUnavailable: there are no keys, or they are older than `MAX_STALE_MS`.
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
        """Fetch the keys unless a fetch was just attempted. On failure the previous keys stay."""
        has_keys = self._is_younger_than(MAX_STALE_MS, now)
        interval_ms = REFETCH_INTERVAL_MS if has_keys else REFETCH_INTERVAL_WITHOUT_KEYS_MS
        if self._attempted_at is not None and 0 <= now - self._attempted_at < interval_ms:
            return
        self._attempted_at = now
        try:
            self._keys = parse_jwks(self._fetch())
            self._fetched_at = now
            self._last_error = None
        except Exception as error:  # noqa: BLE001 - every failure is treated alike: the previous keys stay in use
            self._last_error = error
            logger.warning("the external issuer's keys could not be fetched: %s", type(error).__qualname__)


class ExternalVerifier:
    """Verifies the tokens of one external issuer."""

    def __init__(self, keys: ExternalKeys, external_issuer: ExternalIssuer) -> None:
        self._keys = keys
        self._external_issuer = external_issuer
        self._jwt = PyJWT(options={**SKIP_TIME_CHECKS, "require": ["iss", "sub", "exp", "iat"], "verify_aud": False})

    def verify(self, token: str) -> Principal:
        """Return the client that the token was issued to. The settings say which claims hold what.

        Raises:
            InvalidToken: the token is not valid. The reason is withheld.
            BackendUnavailable: the issuer's keys are not available.
        """
        external_issuer = self._external_issuer
        try:
            check_canonical(token)
            kid = get_unverified_header(token).get("kid")
            key = self._keys.get_key(kid) if isinstance(kid, str) else None
            if key is None:
                raise InvalidToken
            claims = self._jwt.decode(token, key, algorithms=[key.algorithm_name], issuer=external_issuer.url)
        except (PyJWTError, ValueError) as error:
            raise InvalidToken from error
        check_time_claims(claims, self._keys.clock() // SECOND_MS)
        if not external_issuer.audiences.intersection(_to_string_list(claims.get(external_issuer.audience_claim))):
            raise InvalidToken
        ns, subject = claims.get(external_issuer.namespace_claim), claims["sub"]
        if not isinstance(ns, str) or not _NAMESPACE_PATTERN.fullmatch(ns) or not isinstance(subject, str):
            raise InvalidToken
        return Principal(client_id=subject, ns=ns, scopes=self._scopes(claims), issuer=external_issuer.url)

    def _scopes(self, claims: Mapping[str, Any]) -> frozenset[str]:
        prefix = self._external_issuer.scope_prefix
        claim = claims.get(self._external_issuer.scope_claim)
        scopes = claim.split() if isinstance(claim, str) else _to_string_list(claim)
        return frozenset(scope.removeprefix(prefix) for scope in scopes if scope.startswith(prefix))


class IssuerDispatchVerifier:
    """Verifies Ferry's own tokens and those of an external issuer, each by the verifier of its `iss` claim."""

    def __init__(self, internal: TokenVerifier, external: TokenVerifier, external_issuer_url: str) -> None:
        self._internal = internal
        self._external = external
        self._external_issuer_url = external_issuer_url
        self._jwt = PyJWT()

    def verify(self, token: str) -> Principal:
        """Return the client that the token was issued to. Raises `InvalidToken`, `BackendUnavailable`."""
        try:
            # Unverified, it only selects the verifier, which then requires the same issuer.
            issuer = self._jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (PyJWTError, ValueError) as error:
            raise InvalidToken from error
        return (self._external if issuer == self._external_issuer_url else self._internal).verify(token)


def _to_string_list(claim: object) -> list[str]:
    """Return the strings of a claim that is a string or a list; of any other value none."""
    if isinstance(claim, str):
        return [claim]
    return [each for each in claim if isinstance(each, str)] if isinstance(claim, list) else []
