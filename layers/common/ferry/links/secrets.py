"""The secrets of links, and the ids that are derived from them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from ferry.model.links import Link

SECRET_BYTES = 32
"""Random bytes of a secret."""

SECRET_PATTERN = re.compile(r"[A-Za-z0-9_-]{43}")
"""What a secret looks like: `SECRET_BYTES` in base64url, without padding."""

LINK_ID_PATTERN = re.compile(r"[0-9a-f]{32}")


def new_secret() -> str:
    """Return a new secret."""
    return secrets.token_urlsafe(SECRET_BYTES)


def hash_of(secret: str) -> bytes:
    """Return what is stored of a secret. It is random and long, so it needs no slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def link_id_of(secret_hash: bytes) -> str:
    """Return the id of a link: the first half of the hash of its secret, in hexadecimal."""
    return secret_hash[:16].hex()


def has_secret(link: Link, secret_hash: bytes) -> bool:
    """Return whether the link has the secret, compared in constant time."""
    return hmac.compare_digest(link.secret_hash, secret_hash)
