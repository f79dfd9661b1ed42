"""Issuing access tokens for client credentials (RFC 6749 section 4.4)."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from jwt.algorithms import Algorithm
from jwt.api_jws import PyJWS

from ferry.auth.key_cache import KeySetCache, load_or_publish
from ferry.auth.oauth import InvalidClient, InvalidScope, InvalidTokenRequest, UnsupportedGrantType
from ferry.model.auth import Client, KeySet
from ferry.ports.auth import AuthStore, Signer
from ferry.ports.types import Clock

MAX_CLIENT_ID_BYTES = 256
_SCOPE_PATTERN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")  # RFC 6749 section 3.3
_DUMMY_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What a client sent; empty where it sent nothing, which is the same as an empty value (RFC 6749 section 3.2)."""

    client_id: str
    client_secret: str
    grant_type: str
    scope: str


@dataclass(frozen=True, slots=True)
class Token:
    """`expires_in` is seconds; `scope` is space-separated; `token_id` is its `jti`, whom it is for `client_id` and
    `ns`.
    """

    access_token: str
    expires_in: int
    scope: str
    token_id: str
    client_id: str
    ns: str


@dataclass(frozen=True, slots=True)
class Issuer:
    """What issuing needs. `key_ref` is the key that is published when none is; `lifetime` is seconds. `issues` is false
    where tokens come from an issuer outside alone.
    """

    store: AuthStore
    key_set_cache: KeySetCache
    signer: Signer
    clock: Clock
    key_ref: str
    issuer: str
    audience: str
    token_ttl_seconds: int
    new_id: Callable[[], str] = secrets.token_hex
    enabled: bool = True


def issue(issuer: Issuer, request: TokenRequest) -> Token:
    """Authenticate the client and sign a token for it.

    Raises:
        InvalidTokenRequest, InvalidClient, UnsupportedGrantType, InvalidScope: in this order.
        BackendUnavailable: the clients, the keys or the signer could not be reached.
    """
    if not issuer.enabled:
        raise UnsupportedGrantType("tokens come from another issuer here")
    if not request.grant_type:
        raise InvalidTokenRequest("grant_type is missing")
    client = _authenticate(issuer.store, request.client_id, request.client_secret)
    if request.grant_type != "client_credentials":
        raise UnsupportedGrantType(**_audit_fields(client))
    scope = _resolve_scope(client, request.scope)
    keyring = public_key_set(issuer)
    key = next(key for key in keyring.keys if key.kid == keyring.signing_kid)
    now, token_id = issuer.clock() // 1000, issuer.new_id()
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
    signed = _sign(issuer.signer, claims, kid=key.kid, key_ref=key.key_ref)
    return Token(signed, issuer.token_ttl_seconds, scope, token_id, client.client_id, client.ns)


def public_key_set(issuer: Issuer) -> KeySet:
    """The keys that its tokens are checked with; none where tokens come from outside alone. Raises as `published`."""
    if not issuer.enabled:
        return KeySet(signing_kid="", keys=())
    return load_or_publish(issuer.key_set_cache, issuer.store, issuer.signer, issuer.key_ref)


def _authenticate(store: AuthStore, client_id: str, secret: str) -> Client:
    """The client, if the secret is one of its own.

    Unknown, disabled and wrong take the same way: one read, one hash, two comparisons or more, none of them cut short.
    Only a request without credentials, or with an id that no client can have, is refused without a look.
    """
    if not client_id or not secret or len(client_id.encode("utf-8", "replace")) > MAX_CLIENT_ID_BYTES:
        raise InvalidClient(reason="no_credentials")
    client = store.get_client(client_id)
    digest = hashlib.sha256(secret.encode("utf-8", "replace")).digest()
    hashes = client.secret_hashes if client is not None else ()
    known = 0
    for candidate in hashes:
        known |= hmac.compare_digest(digest, candidate)
    for _ in range(len(hashes), 2):
        hmac.compare_digest(digest, _DUMMY_HASH)
    if client is None:
        raise InvalidClient(reason="unknown_client")
    if client.disabled or not known:
        raise InvalidClient(reason="disabled" if client.disabled else "wrong_secret", **_audit_fields(client))
    return client


def _audit_fields(client: Client) -> dict[str, str]:
    return {"actor": client.client_id, "ns": client.ns}


def _resolve_scope(client: Client, requested: str) -> str:
    if not requested:
        return " ".join(sorted(client.scopes))
    if not _SCOPE_PATTERN.fullmatch(requested) or not client.scopes.issuperset(requested.split(" ")):
        raise InvalidScope(**_audit_fields(client))
    return " ".join(sorted(set(requested.split(" "))))


class _RemoteSigningAlgorithm(Algorithm):
    """ES256 whose private half is at the signer: here a "key" is only its reference. It cannot verify."""

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


def _sign(signer: Signer, claims: dict[str, Any], *, kid: str, key_ref: str) -> str:
    payload = json.dumps(claims, separators=(",", ":")).encode()
    jws = PyJWS(algorithms=[])
    jws.register_algorithm("ES256", _RemoteSigningAlgorithm(signer))
    return jws.encode(payload, key=key_ref, algorithm="ES256", headers={"kid": kid})
