"""Digests of bytes: what clients send along, what claims hold, and CRC arithmetic.

CRC32C (Castagnoli) is what S3 keeps over whole objects; because CRCs are linear, that of a part or a file follows from
those of its pieces and their lengths, without the bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import google_crc32c

from ferry.errors import ChecksumMismatch, ChecksumUnsupported, InvalidField

SHA256_PREFIX_BYTES = 16
_POLYNOMIAL = 0x82F63B78  # CRC32C, bit-reflected (RFC 3720 appendix B.4)

_DIGEST_BYTES: Mapping[str, int] = {"crc32": 4, "crc32c": 4, "md5": 16, "sha256": 32, "sha512": 64}


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest as a client sends it: `crc32`, `crc32c`, `md5`, `sha256` or `sha512`, and the raw bytes (CRCs big-
    endian).
    """

    algorithm: str
    value: bytes


def crc32c(body: bytes, crc: int = 0) -> int:
    """The CRC32C of `body`, going on from `crc`."""
    return int(google_crc32c.extend(crc, body))


def sha256_prefix(body: bytes) -> bytes:
    """What a claim holds of a chunk: the first 16 bytes of its SHA-256."""
    return hashlib.sha256(body).digest()[:SHA256_PREFIX_BYTES]


def verify_digests(body: bytes, digests: Iterable[Digest]) -> None:
    """Check every digest over `body`.

    Raises:
        ChecksumUnsupported: an algorithm that is not known here.
        InvalidField: a value that is not as long as its algorithm makes them.
        ChecksumMismatch: it is the digest of other bytes.
    """
    for digest in digests:
        if digest.algorithm not in _DIGEST_BYTES:
            raise ChecksumUnsupported(f"use one of {', '.join(sorted(_DIGEST_BYTES))}")
        if len(digest.value) != _DIGEST_BYTES[digest.algorithm]:
            raise InvalidField.for_member(
                "checksum", f"a {digest.algorithm} has {_DIGEST_BYTES[digest.algorithm]} bytes"
            )
        if not hmac.compare_digest(_COMPUTE[digest.algorithm](body), digest.value):
            raise ChecksumMismatch(f"the bytes that arrived do not have that {digest.algorithm}; send them again")


_COMPUTE: Mapping[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "crc32c": lambda body: crc32c(body).to_bytes(4, "big"),
    "md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "sha512": lambda body: hashlib.sha512(body).digest(),
}


def crc32c_to_base64(crc: int) -> str:
    """As S3 writes it: big-endian, base64."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def crc32c_from_base64(value: str) -> int:
    """Raises `ValueError` unless it is the base64 of four bytes."""
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if len(raw) != 4:
        raise ValueError("a CRC32C has four bytes")
    return int.from_bytes(raw, "big")


def combine_crc32c(first: int, second: int, second_length: int) -> int:
    """The CRC32C of two pieces joined, from theirs and the second's length in bytes.

    Appending n zero bytes is a linear map over GF(2) on the register, here its matrix for n = 2^k is squared from the
    one before.
    """
    bit = 0
    while second_length:
        if second_length & 1:
            first = _multiply(_zeros_operator(bit), first)
        second_length >>= 1
        bit += 1
    return first ^ second


def combine_crc32c_all(pieces: Iterable[tuple[int, int]]) -> int:
    """The CRC32C of pieces in order, each given as (CRC, length in bytes)."""
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
    """The matrix that appends 2^power zero bytes to a CRC register; row i is the image of bit i."""
    if power == 0:
        matrix = tuple([_POLYNOMIAL] + [1 << bit for bit in range(31)])
        for _ in range(3):
            matrix = tuple(_multiply(matrix, row) for row in matrix)
        return matrix
    half = _zeros_operator(power - 1)
    return tuple(_multiply(half, row) for row in half)
