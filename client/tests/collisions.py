"""Make bytes whose CRC32C is a given one."""

from __future__ import annotations

from ferry_client.checksums import crc32c


def with_crc32c_of(data: bytes, other: bytes) -> bytes:
    """Return `data` with four other bytes at its end, so that its CRC32C is that of `other`.

    The CRC32C of bytes with four more is linear in these (over GF(2), but for a constant): 32 equations for 32 bits.
    """
    base = crc32c(data[:-4])
    constant = crc32c(bytes(4), base)
    # Each row: the bits of the CRC that a bit of the four bytes changes, and that bit.
    rows = [(crc32c((1 << bit).to_bytes(4, "little"), base) ^ constant, 1 << bit) for bit in range(32)]
    wanted, solution = crc32c(other) ^ constant, 0
    for bit in range(32):
        pivot = next(row for row in rows if row[0] >> bit & 1)
        rows = [
            (value ^ pivot[0], bits ^ pivot[1]) if value >> bit & 1 else (value, bits)
            for value, bits in rows
            if (value, bits) != pivot
        ]
        if wanted >> bit & 1:
            wanted, solution = wanted ^ pivot[0], solution ^ pivot[1]
    return data[:-4] + solution.to_bytes(4, "little")
