"""The metadata store: uploads, files, cleanup tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ferry.model.files import File
from ferry.model.objects import StoredObject
from ferry.model.quotas import Quota
from ferry.model.uploads import ChunkDigest, CurrentUpload, ProgressShard, Upload, UploadRecord, UploadState
from ferry.ports.types import Page


class UploadRepository(Protocol):
    """The rows of docs/decisions/0001. All reads are strongly consistent but `due` (an index)."""

    def get_file(self, ns: str, name: str) -> File | None: ...

    def get_current_upload(self, ns: str, name: str) -> CurrentUpload | None: ...

    def get_name(self, ns: str, name: str) -> tuple[File | None, CurrentUpload | None, Quota | None]:
        """The name's file and slot, as both were at one moment; one call."""
        ...

    def get_upload(self, upload_id: str) -> Upload | None:
        """The session and all its stripes; one query (more only when the rows exceed 1 MB)."""
        ...

    def list_files(self, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
        """The namespace's files by name (by the bytes of its UTF-8)."""
        ...

    def list_open_uploads(self, ns: str, cursor: str | None, limit: int) -> Page[CurrentUpload]:
        """The namespace's slots that are in progress; a page may hold fewer than `limit`, or none, and still have a
        cursor.
        """
        ...

    def cursor_after(self, current_upload: CurrentUpload) -> str:
        """The cursor of `open_slots` that goes on after this one. No call."""
        ...

    def create_upload(
        self, record: UploadRecord, *, expected: CurrentUpload | None, due_at: int, quota: Quota | None = None
    ) -> None:
        """Put the session (creating), its stripes, and take the slot, in one transaction. If the session is `counted`,
        it and its size are counted there too, `within` these limits.

        Raises:
            Moved: the slot is no longer `over` (None: not there), or is in progress; or the limits leave no room.
        """
        ...

    def mark_open(self, upload_id: str, multipart_id: str | None, *, due_at: int, event_pending: bool = False) -> None:
        """Creating → open. `untold`: the event of its start is still to be sent.

        Raises:
            Moved: it is not creating.
        """
        ...

    def put_chunk_digest(
        self, upload_id: str, part_number: int, chunk_index: int, chunk_digest: ChunkDigest
    ) -> Mapping[int, ChunkDigest]:
        """Claim a chunk if nobody has, and return the part's claims as they stand then, by chunk index.

        The caller compares: `result[index] != claim` means that other bytes came first.
        """
        ...

    def get_chunk_digests(self, upload_id: str, part_number: int) -> Mapping[int, ChunkDigest]: ...

    def get_all_chunk_digests(self, upload_id: str) -> Mapping[int, Mapping[int, ChunkDigest]]:
        """By part number, then chunk index. Grows with the upload: only for uploads that mix both paths."""
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
        """Count a durable chunk that was missing when the stripe was `seen`, once, and touch the stripe.

        Where `seen.recent` has grown to `COMPACTION_THRESHOLD`, fold in the same write: `bits` takes in `before`, `before` becomes
        `recent` as it is then, `recent` becomes this chunk alone. `only_chunks` demands that no URL was ever signed.

        Raises:
            Moved: closed, in `recent` or `before` already, or (with `only_chunks`) direct; folded since it was seen,
                twice, or at all where this write was to fold.
        """
        ...

    def mark_presigned(self, upload: Upload, *, now: int) -> None:
        """Note on every stripe that URLs are signed from now on, and touch them. Raises `Moved` when one is closed."""
        ...

    def record_activity(self, upload_id: str, *, now: int) -> None:
        """Note activity on the first stripe. Raises `Moved` when it is closed."""
        ...

    def acquire_lease(
        self,
        upload: Upload,
        *,
        lease_id: str,
        expires_at: int,
        now: int,
        replace_existing: bool,
        crc32c: int | None,
        previous_lease_id: str | None = None,
    ) -> Upload:
        """open, or completing with a lease that lapsed before `now`, → completing, due at `until`; every stripe closed.

        What this completion was asked for is noted for whoever takes over. A lease that its holder has handed on is
        taken over before it lapses by naming its attempt (`after`). Returned is the upload as it stands then: that it
        is still what was seen is the condition.

        Raises:
            Moved: the session is neither, or a version, its own or a stripe's, is no longer the one seen.
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
        """Completing → open again, in one transaction with the stripes.

        With `made` the object is noted and the stripes stay closed: nothing can be added any more. Otherwise they open
        again, a fold epoch and version further, without the chunks to `forget` (by index), which turned out not to be
        durable.

        Raises:
            Moved: the lease is not (any more) `attempt`.
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
        """Switch the pointer: FILE, SESSION → complete, SLOT no longer open, a row for the new object, tombs for the
        stages and for `over`'s object.

        SESSION and SLOT get the `ttl` (epoch seconds), nothing is due of them any more. With `tell_by` the event of it
        is noted as untold: the session is due then, and has no `ttl` until it is `told`. The upload, if it was counted,
        and the bytes of `over`, if they were, are counted no longer; `file` is, if the upload was.

        Raises:
            Moved: the lease is not `session.attempt`, or the file of that name is not `over` (None: there is none).
        """
        ...

    def terminate(
        self, upload: Upload, state: UploadState, *, now: int, ttl_epoch_seconds: int, lease_id: str | None = None
    ) -> None:
        """→ cancelled or expired, from creating or open (with `attempt`: from completing under that lease); stripes
        closed, due now.

        The slot is no longer open, and gets the `ttl` (epoch seconds). If it was counted it is no longer.

        Raises:
            Moved: in another state; counted since it was read; or, expiring, a stripe was touched since it was read.
        """
        ...

    def clear_pending_event(
        self, record: UploadRecord, *, due_at: int | None, ttl_epoch_seconds: int | None = None
    ) -> None:
        """Its events are sent: clear the note. It is due at `due`, or (None) no more, and may be forgotten at `ttl`
        (epoch seconds). No new version: nobody sees a difference.

        Raises:
            Moved: it is in another state.
        """
        ...

    def delete_file(self, file: File, *, object_due_at: int, now: int, publish_deadline: int | None = None) -> None:
        """Remove the pointer, leave a tomb for the object. With `tell_by` also a note of what is to be told, due then.
        Its bytes, if they were, are counted no longer.

        Raises:
            Moved: the file is another or none, or was counted since it was read.
        """
        ...
