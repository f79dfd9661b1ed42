"""An upload: its record, its progress shards and the digests of its chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ferry.model.files import File
from ferry.model.objects import StoredObject
from ferry.rules.layout import ChunkLayout


class UploadState(StrEnum):
    """Where an upload stands. `CREATING` is a start that has not finished (docs/decisions/0001)."""

    CREATING = "creating"
    OPEN = "open"
    COMPLETING = "completing"
    COMPLETE = "complete"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def in_progress(self) -> bool:
        return self in (UploadState.CREATING, UploadState.OPEN, UploadState.COMPLETING)


@dataclass(frozen=True, slots=True)
class CurrentUpload:
    """The newest upload of a name, and whether it is in progress."""

    ns: str
    name: str
    upload_id: str
    in_progress: bool


@dataclass(frozen=True, slots=True)
class ChunkDigest:
    """The promise that a chunk has these bytes: 16 bytes of their SHA-256, and their CRC32C."""

    sha256_prefix: bytes
    crc32c: int


COMPACTION_THRESHOLD = 64
"""How many recent chunks a stripe gathers before they are folded: bounds its row under 1 KB, one write unit."""


@dataclass(frozen=True, slots=True)
class ProgressShard:
    """One stripe of an upload's durable chunks (docs/decisions/0001).

    `bits` is the folded bitmap, bit 0 lowest; `recent` the bits set since the last fold, `before` those between the
    last two; `received` counts the bytes of all of them.
    """

    index: int
    open: bool
    last_activity_at: int
    bits: int = 0
    recent_bits: frozenset[int] = frozenset()
    previous_bits: frozenset[int] = frozenset()
    received_bytes: int = 0
    epoch: int = 0
    version: int = 0
    has_presigned_parts: bool = False

    def has_bit(self, bit: int) -> bool:
        return bit in self.recent_bits or bit in self.previous_bits or bool(self.bits >> bit & 1)

    @property
    def needs_compaction(self) -> bool:
        return len(self.recent_bits) >= COMPACTION_THRESHOLD

    @property
    def compacted_bits(self) -> int:
        """The bitmap that the next fold writes."""
        return replace(self, recent_bits=frozenset()).all_bits

    @property
    def all_bits(self) -> int:
        folded = self.bits
        for bit in self.recent_bits | self.previous_bits:
            folded |= 1 << bit
        return folded


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """One upload, from its start to a while after its end.

    `crc32c` and `replace` are as given at start. `attempt` and `lease_until` are the completion's lease, `leased_at`
    when the first was taken, `lease_replace` and `lease_crc32c` what the present one was asked for, for whoever takes
    over; `made` is the object of a completion whose pointer has not been switched; `answer` the finished file of a
    complete one, `replaced` the upload whose file it replaced; `swept` says that a cancelled or expired one has left
    nothing in S3. `counted`: it is in its namespace's quota (docs/decisions/0004). `untold`: the event of its start, or
    of its completion, is still to be sent (docs/decisions/0003). `version` starts at `created`, so that versions grow
    from one upload of a name to the next.
    """

    upload_id: str
    ns: str
    name: str
    layout: ChunkLayout
    state: UploadState
    created_at: int
    idle_timeout_ms: int
    max_age_ms: int
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    crc32c: int | None = None
    fingerprint: str | None = None
    replace_existing: bool = False
    multipart_id: str | None = None
    lease_id: str | None = None
    lease_expires_at: int = 0
    first_leased_at: int | None = None
    lease_replace_existing: bool = False
    lease_crc32c: int | None = None
    stored_object: StoredObject | None = None
    file: File | None = None
    replaced_upload_id: str | None = None
    ended_at: int | None = None
    purged: bool = False
    event_pending: bool = False
    counted_in_quota: bool = False
    version: int = 0

    @property
    def object_key(self) -> str:
        return object_key(self.upload_id)

    def staged_chunk_key(self, chunk_index: int, chunk_digest: ChunkDigest) -> str:
        """Where chunk `index` is staged: its digest is in the key, so other bytes can never overwrite it."""
        part = self.layout.part_for_chunk(chunk_index)
        return f"{staged_chunk_prefix(self.upload_id)}{part}/{chunk_index}-{chunk_digest.sha256_prefix.hex()}"


def object_key(upload_id: str) -> str:
    return f"o/{upload_id}"


def staged_chunk_prefix(upload_id: str) -> str:
    return f"st/{upload_id}/"


@dataclass(frozen=True, slots=True)
class Upload:
    """A session together with all its stripes, as one read of the ledger gives them."""

    record: UploadRecord
    shards: tuple[ProgressShard, ...]

    @property
    def has_presigned_parts(self) -> bool:
        """Whether a URL for a part was ever signed."""
        return any(stripe.has_presigned_parts for stripe in self.shards)

    @property
    def received_bytes(self) -> int:
        """Bytes of the durable chunks; parts sent straight to S3 are not among them."""
        return sum(stripe.received_bytes for stripe in self.shards)

    @property
    def last_activity_at(self) -> int:
        return max((stripe.last_activity_at for stripe in self.shards), default=self.record.created_at)

    @property
    def expires_at(self) -> int:
        session = self.record
        return min(self.last_activity_at + session.idle_timeout_ms, session.created_at + session.max_age_ms)

    @property
    def version(self) -> int:
        return self.record.version + sum(stripe.version for stripe in self.shards)

    def with_lease(
        self, *, lease_id: str, expires_at: int, now: int, replace_existing: bool, crc32c: int | None
    ) -> Upload:
        """As it is under a lease that was taken now: completing, and closed to everything else."""
        session = replace(
            self.record,
            state=UploadState.COMPLETING,
            lease_id=lease_id,
            lease_expires_at=expires_at,
            first_leased_at=now if self.record.first_leased_at is None else self.record.first_leased_at,
            lease_replace_existing=replace_existing,
            lease_crc32c=crc32c,
            version=self.record.version + 1,
        )
        return Upload(session, tuple(replace(row, open=False, epoch=row.epoch + 2) for row in self.shards))

    def shard_for_chunk(self, chunk_index: int) -> ProgressShard:
        grid = self.record.layout
        return self.shards[grid.shard_for_part(grid.part_for_chunk(chunk_index))]

    def has_chunk(self, chunk_index: int) -> bool:
        return self.shard_for_chunk(chunk_index).has_bit(self.record.layout.bit_for_chunk(chunk_index))

    def has_all_chunks_of_part(self, part_number: int) -> bool:
        """Whether every chunk of the part is durable."""
        return all(self.has_chunk(index) for index in self.record.layout.chunks_in_part(part_number))

    def chunk_indexes(self) -> list[int]:
        """The durable chunks' indexes, ascending."""
        grid = self.record.layout
        found = [grid.chunk_for_bit(row.index, bit) for row in self.shards for bit in set_bit_positions(row.all_bits)]
        found.sort()
        return found


def set_bit_positions(bitmap: int) -> Iterator[int]:
    """The positions of the set bits, lowest first."""
    for position, byte in enumerate(bitmap.to_bytes((bitmap.bit_length() + 7) // 8, "little")):
        yield from (position * 8 + bit for bit in range(8) if byte >> bit & 1)
