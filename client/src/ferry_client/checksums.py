"""CRC32C, which the service and S3 verify files by.

`google-crc32c` computes it where its compiled form is installed; otherwise a table in Python does, about 2,000 times
slower. CRCs are linear, so the CRC32C of joined pieces follows from the CRCs and lengths of the pieces.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from functools import cache
from typing import TypeAlias

_POLYNOMIAL = 0x82F63B78
"""CRC32C, bit-reflected (RFC 3720 appendix B.4)."""

_Extend: TypeAlias = "Callable[[int, bytes], int]"


def crc32c(data: bytes | memoryview, crc: int = 0) -> int:
    """Return the CRC32C of `data`, appended to bytes whose CRC32C is `crc`."""
    extend = _compiled_extend()
    return extend(crc, bytes(data)) if extend else _extend_by_table(crc, bytes(data))


def is_compiled() -> bool:
    """Return whether CRC32C is computed by compiled code."""
    return _compiled_extend() is not None


def crc32c_to_base64(crc: int) -> str:
    """Return a CRC32C as the service writes it: the base64 of four bytes, big-endian."""
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


def crc32c_from_base64(value: str) -> int:
    """Return the CRC32C of its base64. Raises `ValueError` if the value is no CRC32C."""
    raw = base64.b64decode(value, validate=True)
    if len(raw) != 4:
        raise ValueError("a CRC32C has four bytes")
    return int.from_bytes(raw, "big")


def combine_crc32c(pieces: Iterable[tuple[int, int]]) -> int:
    """Return the CRC32C of joined pieces, each given as (CRC, length in bytes).

    Appending n zero bytes is a linear map of the CRC register over GF(2). The matrix for n = 2^k is the square of the
    matrix for n = 2^(k-1).
    """
    total = 0
    for crc, length in pieces:
        bit, remaining = 0, length
        while remaining:
            if remaining & 1:
                total = _multiply(_zeros_operator(bit), total)
            remaining >>= 1
            bit += 1
        total ^= crc
    return total


@cache
def _compiled_extend() -> _Extend | None:
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # it warns where it has no compiled form
            import google_crc32c
    except ImportError:
        return None
    return google_crc32c.extend if google_crc32c.implementation == "c" else None


def _extend_by_table(crc: int, data: bytes) -> int:
    table = _byte_table()
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


@cache
def _byte_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


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
