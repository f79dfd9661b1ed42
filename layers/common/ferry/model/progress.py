"""Progress shards: which chunks of an upload are durable (docs/decisions/0001)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

COMPACTION_THRESHOLD = 64
"""Recent chunks in a progress shard at which the next write compacts it. Keeps the row under 1 KB, one write unit."""


@dataclass(frozen=True, slots=True)
class ProgressShard:
    """The durable chunks of every n-th part of an upload, as a bitmap (docs/decisions/0001).

    A recorded chunk goes into `recent_bits`. A compaction moves it to `previous_bits`, and the next one to `bits`.
    `ChunkLayout.bit_for_chunk` gives a chunk's position.
    """

    index: int
    """Which shard of the upload it is, from 0."""

    open: bool
    """Whether chunks can be recorded: the upload is creating or open, and its object is not built."""

    last_activity_at: int
    """When the client was last active here, in epoch milliseconds."""

    bits: int = 0
    """The compacted bitmap; chunk positions count from the lowest bit."""

    recent_bits: frozenset[int] = frozenset()
    """Positions recorded since the last compaction."""

    previous_bits: frozenset[int] = frozenset()
    """Positions recorded between the last two compactions."""

    received_bytes: int = 0
    """Bytes of all recorded chunks of this shard."""

    epoch: int = 0
    """Counts compactions by 1, closing and reopening by 2. A write computed from an older shard fails."""

    version: int = 0
    """Counts the changes that a client can see."""

    has_presigned_parts: bool = False
    """Whether a part of the upload was ever presigned. All shards of an upload have the same value."""

    has_replaced_digests: bool = False
    """Whether the digest of a chunk of this shard was replaced. The request that stored it may still upload a part."""

    @property
    def parts_may_change(self) -> bool:
        """Return whether a part in S3 may be overwritten with bytes that were not acknowledged."""
        return self.has_presigned_parts or self.has_replaced_digests

    def has_bit(self, bit: int) -> bool:
        return bit in self.recent_bits or bit in self.previous_bits or bool(self.bits >> bit & 1)

    @property
    def needs_compaction(self) -> bool:
        return len(self.recent_bits) >= COMPACTION_THRESHOLD

    @property
    def compacted_bits(self) -> int:
        """Return `bits` as the next compaction writes it: with `previous_bits`, without `recent_bits`."""
        return replace(self, recent_bits=frozenset()).all_bits

    @property
    def all_bits(self) -> int:
        bits = self.bits
        for bit in self.recent_bits | self.previous_bits:
            bits |= 1 << bit
        return bits


def set_bit_positions(bitmap: int) -> Iterator[int]:
    """Yield the positions of the set bits, lowest first."""
    for position, byte in enumerate(bitmap.to_bytes((bitmap.bit_length() + 7) // 8, "little")):
        yield from (position * 8 + bit for bit in range(8) if byte >> bit & 1)
