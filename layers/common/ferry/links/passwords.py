"""Passwords of links, hashed by scrypt (RFC 7914)."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from ferry.model.links import PasswordHash

COST = 2**14
"""The parameter N. The memory of a hash is 128 × N × r bytes: 16 MiB."""

BLOCK_SIZE = 8
"""The parameter r."""

PARALLELISM = 5
"""The parameter p: rounds one after another, in the same memory."""

MAX_MEMORY_BYTES = 64 * 1024 * 1024
"""Memory that OpenSSL may use for one hash. Its default, 32 MiB, suffices up to N = 2^15 only."""

SALT_BYTES = 16
"""Length of the random salt."""

DIGEST_BYTES = 32
"""Length of the derived key."""


def hash_password(password: str) -> PasswordHash:
    """Return the hash of a password, with a salt of its own."""
    salt = secrets.token_bytes(SALT_BYTES)
    return PasswordHash(salt, _digest(password, salt, COST, BLOCK_SIZE, PARALLELISM), COST, BLOCK_SIZE, PARALLELISM)


def is_password(stored: PasswordHash, password: str) -> bool:
    """Return whether this is the password, compared in constant time."""
    digest = _digest(password, stored.salt, stored.cost, stored.block_size, stored.parallelism)
    return hmac.compare_digest(digest, stored.digest)


def _digest(password: str, salt: bytes, cost: int, block_size: int, parallelism: int) -> bytes:
    return hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=cost,
        r=block_size,
        p=parallelism,
        maxmem=MAX_MEMORY_BYTES,
        dklen=DIGEST_BYTES,
    )
