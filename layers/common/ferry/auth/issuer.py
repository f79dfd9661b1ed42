"""Issue access tokens for client credentials (RFC 6749 section 4.4)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from jwt.algorithms import Algorithm
from jwt.api_jws import PyJWS

from ferry.auth.key_cache import KeySetCache, load_or_publish
from ferry.auth.oauth import InvalidClient, InvalidScope, InvalidTokenRequest, UnsupportedGrantType
from ferry.model.auth import Client, KeySet, PublicKey
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from ferry.ports.auth import AuthStore, Signer
    from ferry.ports.types import Clock

MAX_CLIENT_ID_BYTES = 256
"""UTF-8 bytes of a client id at most; longer ones are rejected without a read."""
_SCOPE_PATTERN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 section 3.3
_DUMMY_HASH = bytes(32)
"""Compared in place of a secret that the client does not have."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request. An empty field was empty or missing, which mean the same (RFC 6749 section 3.2)."""

    client_id: str
    """From HTTP Basic or the body."""
    client_secret: str
    """From HTTP Basic or the body."""
    grant_type: str
    """Must be `client_credentials`."""
    scope: str
    """Requested scopes, space-separated; empty for all that the client has."""


@dataclass(frozen=True, slots=True)
class Token:
    """An issued token."""

    access_token: str
    """The signed JWT."""
    expires_in: int
    """Lifetime in seconds."""
    scope: str
    """Granted scopes, space-separated."""
    token_id: str
    """Its `jti` claim, for the audit event."""
    client_id: str
    """Its `sub` claim."""
    ns: str
    """Its `ns` claim."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """What issuing tokens needs. `ferry.wiring` sets it from the settings."""

    store: AuthStore
    """Clients and published keys."""
    key_set_cache: KeySetCache
    """The published keys, cached."""
    signer: Signer
    """The private keys."""
    clock: Clock
    """The wall clock."""
    key_ref: str
    """Private key whose public half is published when no key is yet."""
    issuer: str
    """`iss` of the tokens."""
    audience: str
    """`aud` of the tokens."""
    token_ttl_seconds: int
    """Lifetime of the tokens."""
    new_id: Callable[[], str] = secrets.token_hex
    """Returns a new `jti`."""
    enabled: bool = True
    """False where only an external issuer issues tokens."""


def issue(issuer: Issuer, request: TokenRequest) -> Token:
    """Authenticate the client, sign a token for it and return the token.

    Raises:
        InvalidTokenRequest, InvalidClient, UnsupportedGrantType, InvalidScope: checked in this order.
        BackendUnavailable: the store or the signer failed.
    """
    if not issuer.enabled:
        raise UnsupportedGrantType("this service issues no tokens; get one from its external issuer")
    if not request.grant_type:
        raise InvalidTokenRequest("grant_type is missing; send grant_type=client_credentials")
    client = _authenticate(issuer.store, request.client_id, request.client_secret)
    if request.grant_type != "client_credentials":
        raise UnsupportedGrantType(**_audit_fields(client))
    scope = _resolve_scope(client, request.scope)
    key = signing_key(public_key_set(issuer))
    now, token_id = issuer.clock() // SECOND_MS, issuer.new_id()
    claims = {
        "iss": issuer.issuer,
        "aud": issuer.audience,
        "sub": client.client_id,
        "iat": now,
        "nbf": now,
        "exp": now + issuer.token_ttl_seconds,
        "jti": token_id,
        "scope": scope,
        "ns": client.ns,
    }
    return Token(
        sign(issuer.signer, key, claims), issuer.token_ttl_seconds, scope, token_id, client.client_id, client.ns
    )


def public_key_set(issuer: Issuer) -> KeySet:
    """Return the published keys, an empty key set if `enabled` is false. Raises `BackendUnavailable`."""
    if not issuer.enabled:
        return KeySet(signing_kid="", keys=())
    return load_or_publish(issuer.key_set_cache, issuer.store, issuer.signer, issuer.key_ref)


def _authenticate(store: AuthStore, client_id: str, secret: str) -> Client:
    """Return the client if the secret is one of its secrets. Raises `InvalidClient`, `BackendUnavailable`.

    Unknown client, disabled client and wrong secret take the same steps, so that timing reveals nothing: one read, one
    hash, at least two complete comparisons. Only a request without credentials, or with an impossible client id, is
    rejected before the read.
    """
    if not client_id or not secret or len(client_id.encode("utf-8", "replace")) > MAX_CLIENT_ID_BYTES:
        raise InvalidClient(reason="no_credentials")
    client = store.get_client(client_id)
    digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
    hashes = client.secret_hashes if client is not None else ()
    matches = 0
    for candidate in hashes:
        matches |= hmac.compare_digest(digest, candidate)
    for _ in range(len(hashes), 2):
        hmac.compare_digest(digest, _DUMMY_HASH)
    if client is None:
        raise InvalidClient(reason="unknown_client")
    if client.disabled or not matches:
        raise InvalidClient(reason="disabled" if client.disabled else "wrong_secret", **_audit_fields(client))
    return client


def _audit_fields(client: Client) -> dict[str, str]:
    return {"actor": client.client_id, "ns": client.ns}


def _resolve_scope(client: Client, requested: str) -> str:
    """Return the scopes to grant, sorted and space-separated. Raises `InvalidScope`."""
    if not requested:
        return " ".join(sorted(client.scopes))
    if not _SCOPE_PATTERN.fullmatch(requested) or not client.scopes.issuperset(requested.split(" ")):
        raise InvalidScope(**_audit_fields(client))
    return " ".join(sorted(set(requested.split(" "))))


class _RemoteSigningAlgorithm(Algorithm):
    """ES256 for PyJWS with the private key at the signer: the "key" is its reference. It cannot verify."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def prepare_key(self, key: object) -> object:
        return key

    def sign(self, msg: bytes, key: object) -> bytes:
        return self._signer.sign(str(key), msg)

    def verify(self, msg: bytes, key: object, sig: bytes) -> bool:
        raise NotImplementedError

    @staticmethod
    def to_jwk(key_obj: object, as_dict: bool = False) -> NoReturn:
        raise NotImplementedError

    @staticmethod
    def from_jwk(jwk: object) -> NoReturn:
        raise NotImplementedError


def signing_key(key_set: KeySet) -> PublicKey:
    """Return the key that signs new tokens."""
    return next(key for key in key_set.keys if key.kid == key_set.signing_kid)


def sign(signer: Signer, key: PublicKey, claims: dict[str, Any], *, typ: str = "JWT") -> str:
    """Return a token with these claims, and this media type in its header (RFC 8725 section 3.11)."""
    payload = json.dumps(claims, separators=(",", ":")).encode()
    jws = PyJWS(algorithms=[])
    jws.register_algorithm("ES256", _RemoteSigningAlgorithm(signer))
    return jws.encode(payload, key=key.key_ref, algorithm="ES256", headers={"kid": key.kid, "typ": typ})
