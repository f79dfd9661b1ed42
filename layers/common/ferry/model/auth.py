"""Clients and the published signing keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Client:
    """A client that may request access tokens."""

    client_id: str
    """Chosen by the operator."""

    ns: str
    """The namespace of all its files."""

    scopes: frozenset[str]
    """The scopes that its tokens may carry."""

    secret_hashes: tuple[bytes, ...]
    """SHA-256 digests of its secrets, the newest last. During a rotation there are two."""

    disabled: bool = False
    """Whether it gets no more tokens."""

    created_at: int = 0
    """When it was created, in epoch milliseconds; 0 if unknown."""

    rotated_at: int = 0
    """When its newest secret was created, in epoch milliseconds; 0 if unknown."""

    version: int = field(default=0, compare=False)
    """Number of writes of the row since it was created. Set by the store."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A published public key."""

    kid: str
    """The key id in the header of the tokens that it verifies."""

    jwk: Mapping[str, str]
    """The JSON Web Key (RFC 7517): `kty`, `crv`, `x`, `y`."""

    key_ref: str
    """Names the private key at the signer; for KMS an id or ARN."""

    published_at: int = 0
    """When it was published, in epoch milliseconds; 0 for the first key of a stack."""

    superseded_at: int = 0
    """When another key replaced it as the signing key, in epoch milliseconds; 0: it signs now, or never signed."""


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys that verifiers accept."""

    signing_kid: str
    """The `kid` of the key that signs new tokens."""

    keys: tuple[PublicKey, ...]
    """All published keys, the signing key among them."""

    revoked_before_seconds: Mapping[str, int] = field(default_factory=dict)
    """Times in epoch seconds, by client id: earlier tokens of the client are rejected. Set by the operator."""

    disabled_clients: frozenset[str] = frozenset()
    """The ids of disabled clients, whose links are rejected as revoked. Set by the operator."""

    version: int = field(default=0, compare=False)
    """Number of writes of the row since it was created. Set by the store."""
