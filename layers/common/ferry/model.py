"""What Ferry keeps, as frozen values. Times are epoch milliseconds, sizes bytes, CRCs unsigned 32-bit integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ferry.grid import ChunkLayout


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
class StoredObject:
    """An object as S3 has it. `crc32c` and `modified` (epoch seconds) are None where the store did not say."""

    etag: str
    size: int
    crc32c: int | None
    last_modified_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a multipart upload as S3 lists it."""

    number: int
    etag: str
    size: int
    crc32c: int | None


@dataclass(frozen=True, slots=True)
class File:
    """A finished file: what the pointer of a name points to, since `uploaded_at`.

    `last_modified` (epoch seconds) is the date that S3 gives its object (docs/decisions/0009).
    """

    ns: str
    name: str
    upload_id: str
    size: int
    etag: str
    crc32c: int
    content_type: str
    metadata: Mapping[str, str]
    fingerprint: str | None
    uploaded_at: int
    last_modified_seconds: int
    counted_in_quota: bool = field(default=False, compare=False)
    """Whether its bytes are in its namespace's quota: no part of what it is."""


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


@dataclass(frozen=True, slots=True)
class Quota:
    """What a namespace may have (None: as much as it likes), and what of it is counted: the bytes of files and of open
    uploads, and how many uploads are open. `max_file` is the size of one file.
    """

    max_bytes: int | None = None
    max_uploads: int | None = None
    max_file_bytes: int | None = None
    used_bytes: int = 0
    open_uploads: int = 0

    @property
    def tracks_usage(self) -> bool:
        """Whether there is a limit that has to be counted for."""
        return self.max_bytes is not None or self.max_uploads is not None


class CleanupTaskKind(StrEnum):
    """Why somebody must look again: a session's time is up, a dead object, a finished upload's stages and rows, a
    deletion that has not been told.
    """

    UPLOAD = "upload"
    OBJECT = "object"
    STAGED_CHUNKS = "staged_chunks"
    DELETION_EVENT = "deletion_event"


@dataclass(frozen=True, slots=True)
class CleanupTask:
    """An entry of the index of things to look at: `subject` is an upload id (an object's name is one too)."""

    kind: CleanupTaskKind
    subject: str
    due_at: int


class OrphanScanPhase(StrEnum):
    """What the search for orphans lists, in this order."""

    MULTIPART_UPLOADS = "multipart_uploads"
    STAGED_CHUNKS = "staged_chunks"
    OBJECTS = "objects"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class OrphanScan:
    """How far the search for orphans has come (docs/decisions/0005): `cursor` in what `phase` lists; this round `began`
    then; `version` counts the pages of all rounds.
    """

    started_at: int
    phase: OrphanScanPhase = OrphanScanPhase.MULTIPART_UPLOADS
    cursor: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class ObjectSummary:
    """An object in a listing: `modified` is when S3 made it, of a multipart upload when that began."""

    key: str
    size: int
    modified_at: int


@dataclass(frozen=True, slots=True)
class DeletedFile:
    """A file that was deleted, as it was, and when."""

    file: File
    deleted_at: int


class EventKind(StrEnum):
    """What others are told of (docs/events.md)."""

    STARTED = "ferry.upload.started"
    COMPLETED = "ferry.upload.completed"
    EXPIRED = "ferry.upload.expired"
    CANCELLED = "ferry.upload.cancelled"
    DELETED = "ferry.file.deleted"


@dataclass(frozen=True, slots=True)
class Event:
    """A change of state, told to whoever has asked for it. `file` is the file that came or went, if one did;
    `replaced` the upload whose file it replaced.
    """

    kind: EventKind
    occurred_at: int
    ns: str
    name: str
    upload_id: str
    size: int
    file: File | None = None
    replaced_upload_id: str | None = None

    @property
    def id(self) -> str:
        """The same whenever this event is sent again: each kind happens once at most in the life of an upload."""
        return f"{self.upload_id}.{self.kind.rpartition('.')[2]}"
