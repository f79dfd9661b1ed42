"""The metadata store, as requests about uploads use it: names, uploads, and the files that they become."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ferry.model.files import File, IfExists
    from ferry.model.objects import StoredObject
    from ferry.model.progress import ProgressShard
    from ferry.model.quotas import Quota
    from ferry.model.starts import RenamedStart
    from ferry.model.uploads import ChunkDigest, CurrentUpload, Upload, UploadRecord, UploadState
    from ferry.ports.types import Page


class UploadRepository(Protocol):
    """Uploads and their pending events (docs/decisions/0001). Reads are strongly consistent.

    Parameters named `…due_at` and `publish_deadline` are epoch milliseconds: when cleanup looks at the row.
    `ttl_epoch_seconds` is when DynamoDB may delete it.
    """

    def get_current_upload(self, ns: str, name: str) -> CurrentUpload | None: ...

    def get_name(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Quota | None]:
        """Return the file and the current upload of a name, and the namespace's quota, read at one moment."""
        ...

    def get_renamed_start(
        self, ns: str, name: str, start_id: str
    ) -> tuple[File | None, CurrentUpload | None, Quota | None, RenamedStart | None]:
        """Return what `get_name` returns and the repeated start, if there is one, read at one moment."""
        ...

    def get_upload(self, upload_id: str) -> Upload | None:
        """Return the upload with all its shards. One query; one more for each further MB of rows."""
        ...

    def list_open_uploads(self, ns: str, cursor: str | None, limit: int) -> Page[CurrentUpload]:
        """Return current uploads in progress, ordered by name. A page may have fewer than `limit` items."""
        ...

    def cursor_after(self, current_upload: CurrentUpload) -> str:
        """Return the cursor of `list_open_uploads` that continues after an item. No call."""
        ...

    def create_upload(
        self,
        record: UploadRecord,
        *,
        expected: CurrentUpload | None,
        due_at: int,
        quota: Quota | None = None,
        renamed_start: RenamedStart | None = None,
        expected_start: RenamedStart | None = None,
    ) -> None:
        """Create an upload in one transaction: its record, its shards, and its place as the name's current upload.

        If the record is `counted_in_quota`, the transaction adds it to the usage, within the limits of `quota`. With
        `renamed_start` it stores that start, so that its repetition finds the upload.

        Raises:
            ConcurrentUpdate: the name's current upload is not `expected` (None: there is none) or is in progress; the
                start created another upload than that of `expected_start`; or the usage leaves no room.
        """
        ...

    def mark_open(
        self, upload_id: str, multipart_id: str | None, *, now: int, due_at: int, event_pending: bool = False
    ) -> None:
        """Move a creating upload to open. `event_pending`: its start event is still to be published.

        Raises:
            ConcurrentUpdate: the upload is not creating.
        """
        ...

    def change_options(self, upload: Upload, *, if_exists: IfExists, requires_checksum: bool) -> Upload:
        """Change what a start that joins an upload in progress may change, and return the upload as stored.

        Raises:
            ConcurrentUpdate: the record changed since it was read.
        """
        ...

    def put_chunk_digest(
        self, upload_id: str, part_number: int, chunk_index: int, chunk_digest: ChunkDigest
    ) -> Mapping[int, ChunkDigest]:
        """Store a chunk's digest unless it has one, and return the digests of its part by chunk index.

        If the returned digest of the chunk is another one, a request with different content came before.
        """
        ...

    def replace_chunk_digest(
        self, upload: Upload, chunk_index: int, *, expected: ChunkDigest, chunk_digest: ChunkDigest, now: int
    ) -> None:
        """Replace the digest of a chunk that is not recorded, in one transaction with the epoch of its shard.

        No request that read the shard before can record the chunk afterwards. The shard `has_replaced_digests`.

        Args:
            upload: the upload as it was read, without the chunk.
            chunk_index: the chunk.
            expected: the digest as it was read; `put_chunk_digest` returns it.
            chunk_digest: the new digest.
            now: the time of the activity, in epoch milliseconds.

        Raises:
            ConcurrentUpdate: the chunk has another digest, or its shard is closed, has another epoch or has the chunk.
        """
        ...

    def get_chunk_digests(self, upload_id: str, part_number: int) -> Mapping[int, ChunkDigest]:
        """Return the digests of a part's chunks, by chunk index."""
        ...

    def get_all_chunk_digests(self, upload_id: str) -> Mapping[int, Mapping[int, ChunkDigest]]:
        """Return all digests by part number, then chunk index. Calls grow with the upload."""
        ...

    def record_chunk(
        self,
        upload_id: str,
        expected: ProgressShard,
        bit: int,
        length_bytes: int,
        *,
        require_no_presigned: bool,
        now: int,
    ) -> ProgressShard:
        """Record a durable chunk in its shard, exactly once, and return the shard as stored.

        If `expected.needs_compaction`, the same write compacts the shard.

        Args:
            upload_id: the upload.
            expected: the shard as it was read, without the chunk.
            bit: the chunk's position (`ChunkLayout.bit_for_chunk`).
            length_bytes: the chunk's length.
            require_no_presigned: whether to fail once a part of the upload was presigned.
            now: the time of the activity, in epoch milliseconds.

        Raises:
            ConcurrentUpdate: with the stored shard. It is closed, has the chunk, or was compacted since `expected`
                was read (twice; once if this write compacts); or a part was presigned.
        """
        ...

    def mark_presigned(self, upload: Upload, *, now: int) -> None:
        """Record in every shard that parts of this upload are presigned. Callers do so before they presign.

        Raises:
            ConcurrentUpdate: a shard is closed.
        """
        ...

    def mark_parts_presigned(self, upload_id: str, part_numbers: Iterable[int], *, now: int) -> None:
        """Record that these parts, 1 to 100 of them, are presigned: `ChunkDigest.is_part_presigned` of their chunks."""
        ...

    def record_activity(self, upload: Upload, *, now: int) -> Upload:
        """Record in the first shard that the client was active, and return the upload with that shard as stored.

        The shard may be closed: that of an upload whose object is built is, and such an upload expires, too.

        Raises:
            ConcurrentUpdate: the shard was closed or opened since it was read.
        """
        ...

    def acquire_lease(
        self,
        upload: Upload,
        *,
        lease_id: str,
        expires_at: int,
        now: int,
        if_exists: IfExists,
        crc32c: int | None,
        if_match: str | None = None,
        previous_lease_id: str | None = None,
    ) -> Upload:
        """Move an upload to completing under a lease, close every shard, and return the upload as stored.

        It counts as activity, in every shard: a rejected completion leaves the upload its whole idle timeout.
        The upload must be open, or completing with a lease that expired before `now` or is `previous_lease_id`.

        Args:
            upload: the upload as it was read.
            lease_id: the new lease.
            expires_at: when it expires and cleanup continues the completion, in epoch milliseconds.
            now: the current time, in epoch milliseconds.
            if_exists: the completion's option; stored for a completion that takes over.
            crc32c: the completion's expected CRC32C; stored for a completion that takes over.
            if_match: the entity tag of the only file that it may replace; stored as well.
            previous_lease_id: a lease that its holder has given to this completion.

        Raises:
            ConcurrentUpdate: the record or a shard changed since it was read, or the upload is in another state.
        """
        ...

    def release_lease(
        self,
        upload: Upload,
        *,
        lease_id: str,
        stored_object: StoredObject | None,
        lost_chunks: Iterable[int],
        due_at: int,
    ) -> None:
        """Move a completing upload back to open, in one transaction with its shards.

        Args:
            upload: the upload as it was read.
            lease_id: the lease that the caller holds.
            stored_object: the built object, to keep. The shards stay closed, as nothing can be added to it. None:
                the shards open.
            lost_chunks: indexes of recorded chunks that turned out not to be durable; they are removed.
            due_at: when the upload is due.

        Raises:
            ConcurrentUpdate: the upload is not under this lease.
        """
        ...

    def commit_file(
        self,
        record: UploadRecord,
        file: File,
        *,
        replaced_file: File | None,
        staged_chunks_due_at: int,
        object_due_at: int,
        ttl_epoch_seconds: int,
        publish_deadline: int | None = None,
    ) -> None:
        """Make the file the name's current file and the upload complete, in one transaction.

        The transaction also ends the name's upload in progress, stores the owner of the file's object, schedules the
        staged chunks and the replaced file's object for deletion, and moves the usage from the upload to the file.

        Args:
            record: the upload, under the caller's lease.
            file: the file to commit.
            replaced_file: the file that the name has now; None: none.
            staged_chunks_due_at: when the staged chunks are deleted.
            object_due_at: until when the replaced file can be restored; then its object is deleted.
            ttl_epoch_seconds: when the record and the current upload may be deleted.
            publish_deadline: the completion event is pending; cleanup publishes it then, and the record has no TTL
                until `clear_pending_event`. None: events are disabled.

        Raises:
            ConcurrentUpdate: the upload is not under `record.lease_id`, or the name's file is not `replaced_file`.
        """
        ...

    def terminate(
        self,
        upload: Upload,
        state: UploadState,
        *,
        now: int,
        ttl_epoch_seconds: int,
        lease_id: str | None = None,
        had_received: bool | None = None,
    ) -> None:
        """Move an upload to cancelled or expired, and close every shard, in one transaction.

        The upload must be creating or open or, with `lease_id`, completing under that lease. It is due at once, for
        cleanup to delete its storage. Its usage is released.

        Args:
            upload: the upload as it was read.
            state: `CANCELLED` or `EXPIRED`.
            now: the current time, in epoch milliseconds.
            ttl_epoch_seconds: when the current upload may be deleted.
            lease_id: the lease that the caller holds; None: none.
            had_received: for a restart, whether this upload, or one that a restart cancelled for it, had received
                something. True is stored as `was_restarted`. None: no restart.

        Raises:
            ConcurrentUpdate: the upload is in another state or was counted since it was read. If it expires, the client
                was active since then. If `had_received` is False, a shard changed since then.
        """
        ...

    def clear_pending_event(
        self, record: UploadRecord, *, due_at: int | None, ttl_epoch_seconds: int | None = None
    ) -> None:
        """Record that the pending event is published. The version does not change.

        Args:
            record: the upload.
            due_at: when it is due next; None: no more.
            ttl_epoch_seconds: when the record may be deleted; None: it stays.

        Raises:
            ConcurrentUpdate: the upload is not in `record.state`.
        """
        ...
