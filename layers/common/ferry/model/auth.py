"""Clients and the published signing keys. Times are epoch milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Client:
    """Who may ask for tokens. `secret_hashes` are SHA-256 digests, the newest last; two are valid during a rotation.

    `version` counts the writes of the row, and is no part of what a client is. Times are 0 where nobody noted them.
    """

    client_id: str
    ns: str
    scopes: frozenset[str]
    secret_hashes: tuple[bytes, ...]
    disabled: bool = False
    created_at: int = 0
    rotated_at: int = 0
    version: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public signing key as published: `jwk` is its JSON Web Key (RFC 7517), `key_ref` names the private half at the
    signer.

    `published_at` is 0 for the first key ever, `replaced_at` for the one that signs and for those that never did.
    """

    kid: str
    jwk: Mapping[str, str]
    key_ref: str
    published_at: int = 0
    superseded_at: int = 0


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys verifiers accept, and which of them signs.

    `revoked` has, by client, a time in epoch *seconds*: tokens issued to it before that are refused. `version` counts
    the writes of the row.
    """

    signing_kid: str
    keys: tuple[PublicKey, ...]
    revoked_before_seconds: Mapping[str, int] = field(default_factory=dict)
    version: int = field(default=0, compare=False)
