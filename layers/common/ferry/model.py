"""What Ferry keeps, as frozen values. Times are epoch milliseconds, sizes bytes, CRCs unsigned 32-bit integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ferry.grid import Grid


class State(StrEnum):
    """Where an upload stands. `CREATING` is a start that has not finished (docs/decisions/0001)."""

    CREATING = "creating"
    OPEN = "open"
    COMPLETING = "completing"
    COMPLETE = "complete"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def in_progress(self) -> bool:
        return self in (State.CREATING, State.OPEN, State.COMPLETING)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as S3 has it. `crc32c` and `modified` (epoch seconds) are None where the store did not say."""

    etag: str
    size: int
    crc32c: int | None
    modified: int | None = None


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
    last_modified: int
    counted: bool = field(default=False, compare=False)
    """Whether its bytes are in its namespace's quota: no part of what it is."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The newest upload of a name, and whether it is in progress."""

    ns: str
    name: str
    upload_id: str
    open: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """The promise that a chunk has these bytes: 16 bytes of their SHA-256, and their CRC32C."""

    digest: bytes
    crc32c: int


FOLD_AT = 64
"""How many recent chunks a stripe gathers before they are folded: bounds its row under 1 KB, one write unit."""


@dataclass(frozen=True, slots=True)
class Progress:
    """One stripe of an upload's durable chunks (docs/decisions/0001).

    `bits` is the folded bitmap, bit 0 lowest; `recent` the bits set since the last fold, `before` those between the
    last two; `received` counts the bytes of all of them.
    """

    stripe: int
    open: bool
    touched: int
    bits: int = 0
    recent: frozenset[int] = frozenset()
    before: frozenset[int] = frozenset()
    received: int = 0
    epoch: int = 0
    version: int = 0
    direct: bool = False

    def has(self, bit: int) -> bool:
        return bit in self.recent or bit in self.before or bool(self.bits >> bit & 1)

    @property
    def to_be_folded(self) -> bool:
        return len(self.recent) >= FOLD_AT

    @property
    def folded(self) -> int:
        """The bitmap that the next fold writes."""
        return replace(self, recent=frozenset()).all_bits

    @property
    def all_bits(self) -> int:
        folded = self.bits
        for bit in self.recent | self.before:
            folded |= 1 << bit
        return folded


@dataclass(frozen=True, slots=True)
class Session:
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
    grid: Grid
    state: State
    created: int
    idle: int
    max_age: int
    content_type: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    crc32c: int | None = None
    fingerprint: str | None = None
    replace: bool = False
    multipart_id: str | None = None
    attempt: str | None = None
    lease_until: int = 0
    leased_at: int | None = None
    lease_replace: bool = False
    lease_crc32c: int | None = None
    made: StoredObject | None = None
    answer: File | None = None
    replaced: str | None = None
    ended: int | None = None
    swept: bool = False
    untold: bool = False
    counted: bool = False
    version: int = 0

    @property
    def object_key(self) -> str:
        return object_key(self.upload_id)

    def stage_key(self, index: int, claim: Claim) -> str:
        """Where chunk `index` is staged: its digest is in the key, so other bytes can never overwrite it."""
        part = self.grid.part_of_chunk(index)
        return f"{stage_prefix(self.upload_id)}{part}/{index}-{claim.digest.hex()}"


def object_key(upload_id: str) -> str:
    return f"o/{upload_id}"


def stage_prefix(upload_id: str) -> str:
    return f"st/{upload_id}/"


@dataclass(frozen=True, slots=True)
class Upload:
    """A session together with all its stripes, as one read of the ledger gives them."""

    session: Session
    stripes: tuple[Progress, ...]

    @property
    def direct(self) -> bool:
        """Whether a URL for a part was ever signed."""
        return any(stripe.direct for stripe in self.stripes)

    @property
    def received(self) -> int:
        """Bytes of the durable chunks; parts sent straight to S3 are not among them."""
        return sum(stripe.received for stripe in self.stripes)

    @property
    def touched(self) -> int:
        return max((stripe.touched for stripe in self.stripes), default=self.session.created)

    @property
    def expires_at(self) -> int:
        session = self.session
        return min(self.touched + session.idle, session.created + session.max_age)

    @property
    def version(self) -> int:
        return self.session.version + sum(stripe.version for stripe in self.stripes)

    def leased(self, *, attempt: str, until: int, now: int, replace_file: bool, crc32c: int | None) -> Upload:
        """As it is under a lease that was taken now: completing, and closed to everything else."""
        session = replace(
            self.session,
            state=State.COMPLETING,
            attempt=attempt,
            lease_until=until,
            leased_at=now if self.session.leased_at is None else self.session.leased_at,
            lease_replace=replace_file,
            lease_crc32c=crc32c,
            version=self.session.version + 1,
        )
        return Upload(session, tuple(replace(row, open=False, epoch=row.epoch + 2) for row in self.stripes))

    def stripe_of(self, index: int) -> Progress:
        grid = self.session.grid
        return self.stripes[grid.stripe_of_part(grid.part_of_chunk(index))]

    def has_chunk(self, index: int) -> bool:
        return self.stripe_of(index).has(self.session.grid.bit_of_chunk(index))

    def has_chunks_of_part(self, number: int) -> bool:
        """Whether every chunk of the part is durable."""
        return all(self.has_chunk(index) for index in self.session.grid.chunks_of_part(number))

    def chunks(self) -> list[int]:
        """The durable chunks' indexes, ascending."""
        grid = self.session.grid
        found = [grid.chunk_of_bit(row.stripe, bit) for row in self.stripes for bit in bits_in(row.all_bits)]
        found.sort()
        return found


def bits_in(bitmap: int) -> Iterator[int]:
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
    max_file: int | None = None
    bytes: int = 0
    uploads: int = 0

    @property
    def counts(self) -> bool:
        """Whether there is a limit that has to be counted for."""
        return self.max_bytes is not None or self.max_uploads is not None


class DueKind(StrEnum):
    """Why somebody must look again: a session's time is up, a dead object, a finished upload's stages and rows, a
    deletion that has not been told.
    """

    SESSION = "session"
    OBJECT = "object"
    STAGES = "stages"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Due:
    """An entry of the index of things to look at: `subject` is an upload id (an object's name is one too)."""

    kind: DueKind
    subject: str
    due: int


class Phase(StrEnum):
    """What the search for orphans lists, in this order."""

    MULTIPARTS = "multiparts"
    STAGES = "stages"
    OBJECTS = "objects"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Search:
    """How far the search for orphans has come (docs/decisions/0005): `cursor` in what `phase` lists; this round `began`
    then; `version` counts the pages of all rounds.
    """

    began: int
    phase: Phase = Phase.MULTIPARTS
    cursor: str | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a listing: `modified` is when S3 made it, of a multipart upload when that began."""

    key: str
    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Deletion:
    """A file that was deleted, as it was, and when."""

    file: File
    at: int


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
    time: int
    ns: str
    name: str
    upload_id: str
    size: int
    file: File | None = None
    replaced: str | None = None

    @property
    def id(self) -> str:
        """The same whenever this event is sent again: each kind happens once at most in the life of an upload."""
        return f"{self.upload_id}.{self.kind.rpartition('.')[2]}"
