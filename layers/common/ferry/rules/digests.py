"""Digests of bytes: verification of clients' digests, chunk digests, and CRC arithmetic.

S3 stores a CRC32C (Castagnoli) of whole objects. CRCs are linear, so the CRC32C of a part or file follows from the
CRCs and lengths of its pieces, without their bytes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from ferry.errors import ChecksumMismatch, ChecksumUnsupported, InvalidField
from ferry.rules.canonical_base64 import decode_canonical

SHA256_PREFIX_BYTES = 16
"""Length of the SHA-256 prefix in a chunk digest."""

_POLYNOMIAL = 0x82F63B78
"""CRC32C, bit-reflected (RFC 3720 appendix B.4)."""

CRC32C_BYTES = 4
"""Length of a CRC32C."""

_DIGEST_BYTES: Mapping[str, int] = {"crc32": 4, "crc32c": CRC32C_BYTES, "md5": 16, "sha256": 32, "sha512": 64}
"""Length of a digest by algorithm."""


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest that a client sent."""

    algorithm: str
    """`crc32`, `crc32c`, `md5`, `sha256` or `sha512`."""

    value: bytes
    """The raw digest; CRCs are big-endian."""


def crc32c(body: bytes, crc: int = 0) -> int:
    """Return the CRC32C of `body`, appended to bytes whose CRC32C is `crc`."""
    import google_crc32c

    return int(google_crc32c.extend(crc, body))


def sha256_prefix(body: bytes) -> bytes:
    """Return the first 16 bytes of the SHA-256, which a chunk digest contains."""
    return hashlib.sha256(body).digest()[:SHA256_PREFIX_BYTES]


def verify_digests(body: bytes, digests: Iterable[Digest]) -> None:
    """Verify that every digest is the digest of `body`.

    Raises:
        ChecksumUnsupported: an algorithm is unknown.
        InvalidField: a value has the wrong length for its algorithm.
        ChecksumMismatch: a digest is not that of `body`.
    """
    for digest in digests:
        if digest.algorithm not in _DIGEST_BYTES:
            raise ChecksumUnsupported(
                f"{digest.algorithm} is not supported; use one of {', '.join(sorted(_DIGEST_BYTES))}"
            )
        if len(digest.value) != _DIGEST_BYTES[digest.algorithm]:
            raise InvalidField.for_member(
                "checksum",
                f"a {digest.algorithm} has {_DIGEST_BYTES[digest.algorithm]} bytes, this one has {len(digest.value)}",
            )
        if not hmac.compare_digest(_COMPUTE[digest.algorithm](body), digest.value):
            raise ChecksumMismatch(
                f"The received bytes have another {digest.algorithm}. Nothing was stored. Send them again."
            )


_COMPUTE: Mapping[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "crc32c": lambda body: crc32c(body).to_bytes(4, "big"),
    "md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "sha512": lambda body: hashlib.sha512(body).digest(),
}


def crc32c_to_base64(crc: int) -> str:
    """Return the CRC as S3 writes it: the base64 of four bytes, big-endian."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def crc32c_from_base64(value: str) -> int:
    """Return the CRC from the canonical base64 of four bytes, big-endian. Raises `ValueError` if it is not."""
    raw = decode_canonical(value)
    if len(raw) != CRC32C_BYTES:
        raise ValueError("a CRC32C has four bytes")
    return int.from_bytes(raw, "big")


def combine_crc32c(first: int, second: int, second_length: int) -> int:
    """Return the CRC32C of two joined pieces, from their CRCs and the second's length in bytes.

    Appending n zero bytes is a linear map of the CRC register over GF(2). The matrix for n = 2^k is the square of the
    matrix for n = 2^(k-1).
    """
    bit = 0
    while second_length:
        if second_length & 1:
            first = _multiply(_zeros_operator(bit), first)
        second_length >>= 1
        bit += 1
    return first ^ second


def combine_crc32c_all(pieces: Iterable[tuple[int, int]]) -> int:
    """Return the CRC32C of joined pieces, each given as (CRC, length in bytes)."""
    total = 0
    for crc, length in pieces:
        total = combine_crc32c(total, crc, length)
    return total


def _multiply(matrix: tuple[int, ...], vector: int) -> int:
    result = 0
    for row in matrix:
        if vector & 1:
            result ^= row
        vector >>= 1
        if not vector:
            break
    return result


@cache
def _zeros_operator(power: int) -> tuple[int, ...]:
    """Return the matrix that appends 2^power zero bytes to a CRC register; row i is the image of bit i."""
    if power == 0:
        matrix = tuple([_POLYNOMIAL] + [1 << bit for bit in range(31)])
        for _ in range(3):
            matrix = tuple(_multiply(matrix, row) for row in matrix)
        return matrix
    half = _zeros_operator(power - 1)
    return tuple(_multiply(half, row) for row in half)
