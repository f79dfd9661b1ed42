"""An upload: its record, its progress shards and the digests of its chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from ferry.model.files import File, IfExists
from ferry.model.progress import ProgressShard, set_bit_positions

if TYPE_CHECKING:
    from ferry.model.objects import StoredObject
    from ferry.model.sequential import Piece, SequentialState
    from ferry.rules.layout import ChunkLayout

OBJECT_PREFIX = "o/"
"""Prefix of the keys of files' objects."""

STAGED_CHUNK_PREFIX = "st/"
"""Prefix of the keys of staged chunks."""


class UploadState(StrEnum):
    """The states of an upload (docs/decisions/0001)."""

    CREATING = "creating"
    """The record exists; the start has not finished."""

    OPEN = "open"
    """Accepts chunks and presigns parts, unless its object is built already."""

    COMPLETING = "completing"
    """A completion holds the lease; nothing is accepted."""

    COMPLETE = "complete"
    """The file is committed."""

    EXPIRED = "expired"
    """Ended without a file and not by the client: idle, too old, or its bytes are gone."""

    CANCELLED = "cancelled"
    """Ended by the client."""

    @property
    def in_progress(self) -> bool:
        return self in (UploadState.CREATING, UploadState.OPEN, UploadState.COMPLETING)


@dataclass(frozen=True, slots=True)
class CurrentUpload:
    """The most recent upload of a name."""

    ns: str
    """The namespace."""

    name: str
    """The filename."""

    upload_id: str
    """Its id."""

    in_progress: bool
    """Whether it has not ended. A name has at most one upload in progress that `start` began."""

    is_sequential: bool = False
    """Whether bytes are appended to it at an offset. A name may have several such uploads."""


@dataclass(frozen=True, slots=True)
class ChunkDigest:
    """The digest of a chunk's bytes. The digest stored for a chunk decides which bytes are accepted.

    It stays once the chunk is recorded. Before, it may be replaced when its request has passed the function's timeout.
    """

    sha256_prefix: bytes
    """The first 16 bytes of the SHA-256."""

    crc32c: int
    """CRC32C."""

    stored_at: int | None = field(default=None, compare=False)
    """When it was stored, in epoch milliseconds, rounded down to seconds; None: unknown, so it is never replaced."""

    replaced: ChunkDigest | None = field(default=None, compare=False)
    """The first digest of the chunk, if it was replaced; None otherwise."""

    is_part_presigned: bool = field(default=False, compare=False)
    """Whether the part of the chunk was presigned while only one of its chunks was missing."""

    @property
    def part_may_change(self) -> bool:
        """Return whether S3 may have other bytes for the part: sent by a client directly, or with another digest."""
        return self.is_part_presigned or self.replaced is not None


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """One upload. The record outlives the upload by `ENDED_RETENTION_MS` (ferry.uploads.terminate)."""

    upload_id: str
    """128 random bits in hexadecimal; set by start."""

    ns: str
    """The namespace."""

    name: str
    """The filename."""

    layout: ChunkLayout
    """How the file is divided into chunks and parts; set by start, never changed."""

    state: UploadState
    """Where the upload stands."""

    created_at: int
    """When start created the record, in epoch milliseconds."""

    idle_timeout_ms: int
    """The upload expires after this time without activity. Copied from the settings by start."""

    max_age_ms: int
    """The upload expires at this age, even if it is active. Copied from the settings by start."""

    content_type: str
    """Given at start; becomes the file's."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    """Given at start; becomes the file's."""

    crc32c: int | None = None
    """CRC32C of the whole file as given at start; None if it was not."""

    fingerprint: str | None = None
    """Given at start to recognize the same source file; None if it was not."""

    if_exists: IfExists = IfExists.FAIL
    """What to do with a file of the name: the most careful choice of the starts. A completion may choose otherwise."""

    file_existed: bool = False
    """Whether the name had a file at the start. A completion then looks for one before it builds the object."""

    requires_checksum: bool = False
    """Whether a start joined the upload without checksum, fingerprint or `resume: true`.

    A completion then needs the checksum of the whole file, until a start with `resume: true` resets this.
    """

    upload_id_required: bool = False
    """Whether requests must send the upload id: restarts cancelled an upload that had received something."""

    was_restarted: bool = False
    """Whether a restart cancelled this upload, and the upload that replaces it has `upload_id_required`."""

    requested_name: str | None = None
    """The name that the start asked for, if that was taken and the upload got another one; None otherwise."""

    link_id: str | None = None
    """The link that it came by; None: a client began it."""

    link_network: str | None = None
    """The network that began it by a link; None: a client began it."""

    multipart_id: str | None = None
    """The multipart upload in the object store; None while creating, and for an empty file."""

    opened_at: int | None = None
    """When it became open, in epoch milliseconds; None while creating, and for uploads of earlier versions of Ferry."""

    lease_id: str | None = None
    """The completion that holds the lease; None if none does."""

    lease_expires_at: int = 0
    """When another completion may take the lease, in epoch milliseconds; 0 without a lease."""

    first_leased_at: int | None = None
    """When the completion took its lease, in epoch milliseconds; None before.

    An attempt that takes over an expired lease keeps this time; one that gets the lease from its holder sets it anew.
    Until `PRIOR_ATTEMPT_WINDOW_MS` after it, S3 may still build the object for an earlier attempt.
    """

    lease_if_exists: IfExists = IfExists.FAIL
    """The lease holder's `if_exists`. A completion that takes over continues with it."""

    lease_if_match: str | None = None
    """The entity tag of the only file that the lease holder may replace; None: any. Also for a takeover."""

    lease_crc32c: int | None = None
    """The lease holder's expected CRC32C of the whole file. A completion that takes over continues with it."""

    stored_object: StoredObject | None = None
    """The built object of a completion that could not commit the file; None otherwise."""

    file: File | None = None
    """The committed file; None unless complete."""

    replaced_upload_id: str | None = None
    """The upload of the file that the committed file replaced; None if there was none."""

    ended_at: int | None = None
    """When the upload was completed, cancelled or expired, in epoch milliseconds; None while in progress."""

    purged: bool = False
    """Whether everything of a cancelled or expired upload is deleted from the object store."""

    event_pending: bool = False
    """Whether the event of its start or completion is still to be published (docs/decisions/0003)."""

    counted_in_quota: bool = False
    """Whether it is in the usage of its namespace (docs/decisions/0004)."""

    version: int = 0
    """Starts at `created_at` in epoch milliseconds and grows by 1 with each change that a client can see.

    A name's next upload therefore has higher versions.
    """

    sequential: SequentialState | None = None
    """The state of a sequential upload; None for an upload that `start` began."""

    @property
    def is_partial(self) -> bool:
        """Return whether it is a partial upload, which never becomes a file."""
        return self.sequential is not None and self.sequential.is_partial

    @property
    def owner(self) -> tuple[str, str]:
        """Return the namespace and name of its file, which may have got another name at completion."""
        return self.ns, self.name if self.file is None else self.file.name

    @property
    def object_key(self) -> str:
        return object_key(self.upload_id)

    def staged_chunk_key(self, chunk_index: int, chunk_digest: ChunkDigest) -> str:
        """Return the key of a staged chunk. It contains the digest, so different bytes have different keys."""
        part_prefix = self.staged_part_prefix(self.layout.part_for_chunk(chunk_index))
        return f"{part_prefix}{chunk_index}-{chunk_digest.sha256_prefix.hex()}"

    def staged_part_prefix(self, part_number: int) -> str:
        """Return the prefix of the keys of a part's staged chunks."""
        return f"{staged_chunk_prefix(self.upload_id)}{part_number}/"

    def piece_key(self, piece: Piece) -> str:
        """Return the key of a piece of a sequential upload. No two pieces share one."""
        return f"{staged_chunk_prefix(self.upload_id)}piece/{piece.piece_id}"


def object_key(upload_id: str) -> str:
    return f"{OBJECT_PREFIX}{upload_id}"


def staged_chunk_prefix(upload_id: str) -> str:
    return f"{STAGED_CHUNK_PREFIX}{upload_id}/"


@dataclass(frozen=True, slots=True)
class Upload:
    """A consistent read of an upload."""

    record: UploadRecord
    """The upload record."""

    shards: tuple[ProgressShard, ...]
    """All progress shards, by index; empty once cleanup has deleted them."""

    @property
    def has_presigned_parts(self) -> bool:
        """Return whether a part was ever presigned."""
        return any(shard.has_presigned_parts for shard in self.shards)

    @property
    def has_replaced_digests(self) -> bool:
        """Return whether the digest of a chunk was ever replaced."""
        return any(shard.has_replaced_digests for shard in self.shards)

    @property
    def parts_may_change(self) -> bool:
        """Return whether a part in S3 may be overwritten with bytes that were not acknowledged."""
        return any(shard.parts_may_change for shard in self.shards)

    @property
    def recorded_chunk_bytes(self) -> int:
        """Return the bytes of the durable chunks. Parts that the client sent to the object store do not count."""
        if self.record.sequential is not None:
            return self.record.sequential.offset
        return sum(shard.received_bytes for shard in self.shards)

    @property
    def last_activity_at(self) -> int:
        if self.record.sequential is not None:
            return self.record.sequential.last_activity_at
        return max((shard.last_activity_at for shard in self.shards), default=self.record.created_at)

    @property
    def expires_at(self) -> int:
        record = self.record
        return min(self.last_activity_at + record.idle_timeout_ms, record.created_at + record.max_age_ms)

    @property
    def version(self) -> int:
        return self.record.version + sum(shard.version for shard in self.shards)

    def with_options(self, *, if_exists: IfExists, requires_checksum: bool) -> Upload:
        """Return the upload as `change_options` stores it."""
        record = replace(
            self.record,
            if_exists=if_exists,
            requires_checksum=requires_checksum,
            version=self.record.version + 1,
        )
        return replace(self, record=record)

    def with_lease(
        self,
        *,
        lease_id: str,
        expires_at: int,
        now: int,
        if_exists: IfExists,
        crc32c: int | None,
        if_match: str | None = None,
        takes_over_expired: bool = False,
    ) -> Upload:
        """Return the upload as `acquire_lease` stores it: completing, every shard closed, active now."""
        first_leased_at = self.record.first_leased_at if takes_over_expired else None
        record = replace(
            self.record,
            state=UploadState.COMPLETING,
            lease_id=lease_id,
            lease_expires_at=expires_at,
            first_leased_at=now if first_leased_at is None else first_leased_at,
            lease_if_exists=if_exists,
            lease_if_match=if_match,
            lease_crc32c=crc32c,
            version=self.record.version + 1,
        )
        shards = (replace(each, open=False, epoch=each.epoch + 2, last_activity_at=now) for each in self.shards)
        return Upload(record, tuple(shards))

    def with_shard(self, shard: ProgressShard) -> Upload:
        """Return the upload with another state of one shard."""
        return replace(self, shards=tuple(shard if each.index == shard.index else each for each in self.shards))

    def shard_for_chunk(self, chunk_index: int) -> ProgressShard:
        layout = self.record.layout
        return self.shards[layout.shard_for_part(layout.part_for_chunk(chunk_index))]

    def has_chunk(self, chunk_index: int) -> bool:
        if self.record.sequential is not None:
            layout = self.record.layout
            end = (chunk_index - 1) * layout.chunk_size + layout.chunk_length(chunk_index)
            return end <= self.record.sequential.offset
        return self.shard_for_chunk(chunk_index).has_bit(self.record.layout.bit_for_chunk(chunk_index))

    def has_all_chunks_of_part(self, part_number: int) -> bool:
        """Return whether every chunk of the part is durable."""
        return all(self.has_chunk(index) for index in self.record.layout.chunks_in_part(part_number))

    def chunk_indexes(self) -> list[int]:
        """Return the indexes of the durable chunks in ascending order."""
        layout = self.record.layout
        if self.record.sequential is not None:
            return [index for index in range(1, layout.chunk_count + 1) if self.has_chunk(index)]
        indexes = [
            layout.chunk_for_bit(shard.index, bit) for shard in self.shards for bit in set_bit_positions(shard.all_bits)
        ]
        indexes.sort()
        return indexes
