"""The arithmetic of chunks and parts. Pure; everything is derived from the numbers fixed at start.

Chunk indexes and part numbers count from 1, ranges are inclusive, offsets and sizes are bytes. S3's limits are those of
its documentation ("Amazon S3 multipart upload limits").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

MIN_CHUNK_BYTES = 64 * KIB
MAX_CHUNK_BYTES = 4 * MIB
MIN_PART_BYTES = 5 * MIB
MAX_PART_BYTES = 5 * GIB
MAX_PARTS = 10_000
DEFAULT_PART_BYTES = 8 * MIB
MAX_ASSEMBLED_PART_BYTES = 32 * MIB
MAX_FILE_BYTES = MAX_PARTS * MAX_PART_BYTES
CHUNKS_PER_SHARD = 3_072
MAX_SHARDS = 90

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """How a file of `size` bytes is cut. `chunks_per_part` × `chunk_size` is the part size."""

    size: int
    chunk_size: int
    chunks_per_part: int

    @classmethod
    def plan(cls, size: int, chunk_size: int = MAX_CHUNK_BYTES) -> ChunkLayout:
        """The grid for a new upload: parts of at least 8 MiB, growing with the file so that 10,000 suffice.

        A chunk size too small for the file (more than 276,480 chunks) is doubled until it is not, or is 4 MiB.

        Raises:
            ValueError: the size or the chunk size is outside the limits.
        """
        if not 0 <= size <= MAX_FILE_BYTES:
            raise ValueError(f"size must be between 0 and {MAX_FILE_BYTES} bytes")
        if not MIN_CHUNK_BYTES <= chunk_size <= MAX_CHUNK_BYTES or chunk_size & (chunk_size - 1):
            raise ValueError(f"chunk_size must be a power of two from {MIN_CHUNK_BYTES} to {MAX_CHUNK_BYTES}")
        while chunk_size < MAX_CHUNK_BYTES and size > chunk_size * CHUNKS_PER_SHARD * MAX_SHARDS:
            chunk_size *= 2
        least = max(DEFAULT_PART_BYTES, -(-size // MAX_PARTS))
        return cls(size, chunk_size, -(-least // chunk_size))

    @property
    def part_size(self) -> int:
        return self.chunk_size * self.chunks_per_part

    @property
    def chunk_count(self) -> int:
        return -(-self.size // self.chunk_size)

    @property
    def part_count(self) -> int:
        return -(-self.size // self.part_size)

    @property
    def supports_chunks(self) -> bool:
        """Whether parts are small enough to be built from chunks in a function's memory."""
        return self.part_size <= MAX_ASSEMBLED_PART_BYTES

    @property
    def shard_count(self) -> int:
        """Into how many rows the progress of the upload is split."""
        if not self.supports_chunks:
            return 1
        return max(1, min(MAX_SHARDS, -(-self.chunk_count // CHUNKS_PER_SHARD)))

    def chunk_length(self, chunk_index: int) -> int:
        return min(self.chunk_size, self.size - (chunk_index - 1) * self.chunk_size)

    def part_length(self, part_number: int) -> int:
        return min(self.part_size, self.size - (part_number - 1) * self.part_size)

    def part_for_chunk(self, chunk_index: int) -> int:
        return (chunk_index - 1) // self.chunks_per_part + 1

    def chunks_in_part(self, part_number: int) -> range:
        first = (part_number - 1) * self.chunks_per_part + 1
        return range(first, min(first + self.chunks_per_part, self.chunk_count + 1))

    def shard_for_part(self, part_number: int) -> int:
        return (part_number - 1) % self.shard_count

    def bit_for_chunk(self, chunk_index: int) -> int:
        """Where a chunk's bit lies in the bitmap of its part's stripe."""
        part, offset = divmod(chunk_index - 1, self.chunks_per_part)
        return part // self.shard_count * self.chunks_per_part + offset

    def chunk_for_bit(self, shard_index: int, bit: int) -> int:
        """The inverse of `bit_of_chunk`, within one stripe."""
        row, offset = divmod(bit, self.chunks_per_part)
        return (row * self.shard_count + shard_index) * self.chunks_per_part + offset + 1

    def has_chunk(self, chunk_index: int) -> bool:
        return 1 <= chunk_index <= self.chunk_count

    def has_part(self, part_number: int) -> bool:
        return 1 <= part_number <= self.part_count


def to_ranges(numbers: Iterable[int]) -> Iterator[Range]:
    """Ascending numbers as inclusive ranges: 1, 2, 3, 7 gives (1, 3), (7, 7)."""
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


def missing_ranges(ranges: Iterable[Range], last: int) -> Iterator[Range]:
    """What ascending, disjoint `ranges` leave of 1..`last`."""
    at = 1
    for start, end in ranges:
        if start > at:
            yield at, start - 1
        at = end + 1
    if at <= last:
        yield at, last
