"""The division of a file into chunks and parts.

A chunk is what a client sends in one request; a part is what S3 stores. A part consists of whole chunks. Chunk indexes
and part numbers count from 1, bits and shard indexes from 0. Ranges are inclusive; sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

MIN_CHUNK_BYTES = 64 * KIB
"""Smallest chunk size that a client can choose."""

MAX_CHUNK_BYTES = 4 * MIB
"""Largest and default chunk size: base64 in JSON, it fits Lambda's 6 MB per request."""

MIN_PART_BYTES = 5 * MIB
"""S3's minimum for every part but the last ("Amazon S3 multipart upload limits")."""

MAX_PART_BYTES = 5 * GIB
"""S3's maximum for a part."""

MAX_PARTS = 10_000
"""S3's maximum for an object."""

DEFAULT_PART_BYTES = 8 * MIB
"""Part size of files that need at most `MAX_PARTS` such parts."""

MAX_ASSEMBLED_PART_BYTES = 32 * MIB
"""Largest part that is assembled from chunks, in the memory of a function."""

MAX_FILE_BYTES = MAX_PARTS * MAX_PART_BYTES
"""Largest file."""

CHUNKS_PER_SHARD = 3_072
"""Chunks for which an upload gets a further progress shard."""

MAX_SHARDS = 90
"""Most progress shards of an upload: a transaction writes all of them, and DynamoDB allows 100 rows in it."""

Range = tuple[int, int]
"""First and last, both inclusive."""


@dataclass(frozen=True, slots=True)
class ChunkLayout:
    """The division of one file, fixed when its upload starts."""

    size: int
    """Size of the file in bytes; 0 has no chunk and no part."""

    chunk_size: int
    """Length of every chunk but the last: a power of two from `MIN_CHUNK_BYTES` to `MAX_CHUNK_BYTES`."""

    chunks_per_part: int
    """Chunks in every part but the last."""

    @classmethod
    def plan(cls, size: int, chunk_size: int = MAX_CHUNK_BYTES, part_size: int | None = None) -> ChunkLayout:
        """Return the layout of a new upload.

        Parts have at least `part_size` bytes (8 MiB by default), and more if the file needs more than 10,000 of them.
        The chunk size is doubled until the shards have room for all chunks (276,480), at most to 4 MiB.

        Raises:
            ValueError: the size, the chunk size or the part size is outside the limits; the text begins with its name.
        """
        if not 0 <= size <= MAX_FILE_BYTES:
            raise ValueError(f"size must be from 0 to {MAX_FILE_BYTES} bytes")
        if not MIN_CHUNK_BYTES <= chunk_size <= MAX_CHUNK_BYTES or chunk_size & (chunk_size - 1):
            raise ValueError(f"chunk_size must be a power of two from {MIN_CHUNK_BYTES} to {MAX_CHUNK_BYTES}")
        if part_size is not None and not MIN_PART_BYTES <= part_size <= MAX_PART_BYTES:
            raise ValueError(f"part_size must be from {MIN_PART_BYTES} to {MAX_PART_BYTES} bytes")
        while chunk_size < MAX_CHUNK_BYTES and size > chunk_size * CHUNKS_PER_SHARD * MAX_SHARDS:
            chunk_size *= 2
        min_part_size = max(DEFAULT_PART_BYTES if part_size is None else part_size, -(-size // MAX_PARTS))
        return cls(size, chunk_size, -(-min_part_size // chunk_size))

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
        """Return whether parts are small enough to be assembled from chunks in the memory of a function."""
        return self.part_size <= MAX_ASSEMBLED_PART_BYTES

    @property
    def shard_count(self) -> int:
        """Return the number of progress shards. An upload without chunks has one."""
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
        """Return the position of a chunk's bit in the bitmap of its shard (`shard_for_part`)."""
        part, offset = divmod(chunk_index - 1, self.chunks_per_part)
        return part // self.shard_count * self.chunks_per_part + offset

    def chunk_for_bit(self, shard_index: int, bit: int) -> int:
        """Return the chunk index of a bit in a shard's bitmap: the inverse of `bit_for_chunk`."""
        row, offset = divmod(bit, self.chunks_per_part)
        return (row * self.shard_count + shard_index) * self.chunks_per_part + offset + 1

    def has_chunk(self, chunk_index: int) -> bool:
        return 1 <= chunk_index <= self.chunk_count

    def has_part(self, part_number: int) -> bool:
        return 1 <= part_number <= self.part_count


def to_ranges(numbers: Iterable[int]) -> Iterator[Range]:
    """Yield ascending numbers as inclusive ranges: 1, 2, 3, 7 gives (1, 3), (7, 7)."""
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
    """Yield the ranges of 1..`last` that are not in the ascending, disjoint `ranges`."""
    next_number = 1
    for start, end in ranges:
        if start > next_number:
            yield next_number, start - 1
        next_number = end + 1
    if next_number <= last:
        yield next_number, last
