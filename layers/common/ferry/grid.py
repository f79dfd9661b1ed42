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

MIN_CHUNK_SIZE = 64 * KIB
MAX_CHUNK_SIZE = 4 * MIB
MIN_PART_SIZE = 5 * MIB
MAX_PART_SIZE = 5 * GIB
MAX_PARTS = 10_000
DEFAULT_PART_SIZE = 8 * MIB
MAX_ASSEMBLED_PART_SIZE = 32 * MIB
MAX_FILE_SIZE = MAX_PARTS * MAX_PART_SIZE
CHUNKS_PER_STRIPE = 3_072
MAX_STRIPES = 90

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Grid:
    """How a file of `size` bytes is cut. `chunks_per_part` × `chunk_size` is the part size."""

    size: int
    chunk_size: int
    chunks_per_part: int

    @classmethod
    def plan(cls, size: int, chunk_size: int = MAX_CHUNK_SIZE) -> Grid:
        """The grid for a new upload: parts of at least 8 MiB, growing with the file so that 10,000 suffice.

        A chunk size too small for the file (more than 276,480 chunks) is doubled until it is not, or is 4 MiB.

        Raises:
            ValueError: the size or the chunk size is outside the limits.
        """
        if not 0 <= size <= MAX_FILE_SIZE:
            raise ValueError(f"size must be between 0 and {MAX_FILE_SIZE} bytes")
        if not MIN_CHUNK_SIZE <= chunk_size <= MAX_CHUNK_SIZE or chunk_size & (chunk_size - 1):
            raise ValueError(f"chunk_size must be a power of two from {MIN_CHUNK_SIZE} to {MAX_CHUNK_SIZE}")
        while chunk_size < MAX_CHUNK_SIZE and size > chunk_size * CHUNKS_PER_STRIPE * MAX_STRIPES:
            chunk_size *= 2
        least = max(DEFAULT_PART_SIZE, -(-size // MAX_PARTS))
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
    def assembles(self) -> bool:
        """Whether parts are small enough to be built from chunks in a function's memory."""
        return self.part_size <= MAX_ASSEMBLED_PART_SIZE

    @property
    def stripe_count(self) -> int:
        """Into how many rows the progress of the upload is split."""
        if not self.assembles:
            return 1
        return max(1, min(MAX_STRIPES, -(-self.chunk_count // CHUNKS_PER_STRIPE)))

    def length_of_chunk(self, index: int) -> int:
        return min(self.chunk_size, self.size - (index - 1) * self.chunk_size)

    def length_of_part(self, number: int) -> int:
        return min(self.part_size, self.size - (number - 1) * self.part_size)

    def part_of_chunk(self, index: int) -> int:
        return (index - 1) // self.chunks_per_part + 1

    def chunks_of_part(self, number: int) -> range:
        first = (number - 1) * self.chunks_per_part + 1
        return range(first, min(first + self.chunks_per_part, self.chunk_count + 1))

    def stripe_of_part(self, number: int) -> int:
        return (number - 1) % self.stripe_count

    def bit_of_chunk(self, index: int) -> int:
        """Where a chunk's bit lies in the bitmap of its part's stripe."""
        part, offset = divmod(index - 1, self.chunks_per_part)
        return part // self.stripe_count * self.chunks_per_part + offset

    def chunk_of_bit(self, stripe: int, bit: int) -> int:
        """The inverse of `bit_of_chunk`, within one stripe."""
        row, offset = divmod(bit, self.chunks_per_part)
        return (row * self.stripe_count + stripe) * self.chunks_per_part + offset + 1

    def has_chunk(self, index: int) -> bool:
        return 1 <= index <= self.chunk_count

    def has_part(self, number: int) -> bool:
        return 1 <= number <= self.part_count


def ranges_of(numbers: Iterable[int]) -> Iterator[Range]:
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


def gaps_in(ranges: Iterable[Range], last: int) -> Iterator[Range]:
    """What ascending, disjoint `ranges` leave of 1..`last`."""
    at = 1
    for start, end in ranges:
        if start > at:
            yield at, start - 1
        at = end + 1
    if at <= last:
        yield at, last
