"""The metadata store, as requests about finished files use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ferry.model.events import PendingEvent
    from ferry.model.files import DeletedFile, File
    from ferry.model.quotas import Quota
    from ferry.model.starts import NameState
    from ferry.ports.types import Slice


class FileRepository(Protocol):
    """Finished files and their pending events (docs/decisions/0011). Reads are strongly consistent.

    Parameters named `…due_at` and `publish_deadline` are epoch milliseconds: when cleanup looks at the row.
    """

    def get_file(self, ns: str, name: str) -> File | None: ...

    def get_files(self, ns: str, names: Iterable[str]) -> Mapping[str, File]:
        """Return the files of those names that have one, by name. One call for each 100 names."""
        ...

    def get_name_states(self, ns: str, names: Sequence[str]) -> Mapping[str, NameState]:
        """Return the states of up to 33 names. A name without a file that never had an upload is left out."""
        ...

    def find_deleted_file(self, ns: str, name: str, upload_id: str | None = None) -> DeletedFile | None:
        """Return the last deleted file of a name, or the one of an upload.

        One query; with an upload id, one more for each further MB of deleted files of the name.
        """
        ...

    def list_files(self, ns: str, prefix: str, *, start: str, limit: int) -> Slice[File]:
        """Return up to `limit` files whose name has the prefix, ordered by the UTF-8 bytes of the name.

        `start` begins with the prefix (`ferry.rules.listing`): names in front of it are left out.
        """
        ...

    def get_quota(self, ns: str) -> Quota | None: ...

    def announce_object(self, upload_id: str, owner: tuple[str, str], *, due_at: int) -> None:
        """Create the row of an object that is about to be stored, and a task that deletes the object. Idempotent."""
        ...

    def put_file(
        self,
        file: File,
        *,
        replaced_file: File | None,
        quota: Quota | None,
        announced_due_at: int,
        object_due_at: int,
        publish_deadline: int | None = None,
    ) -> None:
        """Make the file the name's current file, in one transaction.

        The transaction also keeps the file's object, adds the file to the usage if it is counted, within the limits of
        `quota`, and takes the replaced file away. If this call made the change before, it succeeds again.

        Args:
            file: the file to commit.
            replaced_file: the file that the name has now; None: none.
            quota: the limits of the namespace, if the file is counted.
            announced_due_at: the due time of the object's task, from `announce_object`.
            object_due_at: until when the replaced file can be restored; then its object is deleted.
            publish_deadline: the completion event is pending; cleanup publishes it then. None: events are disabled.

        Raises:
            NameConflict: the name's file is not `replaced_file`.
            UsageConflict: the usage leaves no room.
            ConcurrentUpdate: the object's task is due at another time.
        """
        ...

    def clear_completion_event(self, upload_id: str) -> None:
        """Record that the completion of a file from `put_file` is published.

        Raises:
            ConcurrentUpdate: it is not pending, or the file was replaced or deleted meanwhile.
        """
        ...

    def change_file(self, changed: File, *, expected: File) -> None:
        """Store a changed record of a file: its type, its metadata and its revision.

        Raises:
            ConcurrentUpdate: the name's file is not `expected`, or has changed since it was read.
        """
        ...

    def list_deleted_files(self, ns: str, prefix: str, *, start: str, limit: int) -> Slice[DeletedFile]:
        """Return up to `limit` deleted files whose name has the prefix: by name, then the last deleted first.

        `start` is the prefix, or a position behind a deleted file (`ferry.rules.listing.after_deleted_file`).
        """
        ...

    def delete_file(
        self, file: File, *, object_due_at: int, now: int, pending_event: PendingEvent | None = None
    ) -> None:
        """Delete a file in one transaction: the name, and its bytes from the usage. It can be restored.

        Args:
            file: the file as it was read.
            object_due_at: until when it can be restored; then its object is deleted.
            now: the time of the deletion, in epoch milliseconds.
            pending_event: the deletion event; None: events are disabled.

        Raises:
            ConcurrentUpdate: the name has another file or none, or the file was counted since it was read.
        """
        ...

    def move_file(
        self,
        file: File,
        moved: File,
        *,
        replaced_file: File | None,
        object_due_at: int,
        now: int,
        pending_event: PendingEvent | None = None,
    ) -> None:
        """Give a file another name, in one transaction. A replaced file of that name can be restored.

        Args:
            file: the file as it was read.
            moved: the file under its new name.
            replaced_file: the file that the new name has now; None: none.
            object_due_at: until when the replaced file can be restored; then its object is deleted.
            now: the time of the move, in epoch milliseconds.
            pending_event: the event of the move; None: events are disabled.

        Raises:
            ConcurrentUpdate: the old name's file is not `file`, or the new name's is not `replaced_file`.
        """
        ...

    def restore_file(
        self,
        deleted_file: DeletedFile,
        restored: File,
        *,
        replaced_file: File | None,
        quota: Quota | None,
        event_is_pending: bool,
        object_due_at: int,
        now: int,
        pending_event: PendingEvent | None = None,
    ) -> None:
        """Give a deleted file a name again, in one transaction. A replaced file of that name can be restored.

        The transaction adds the file to the usage if it is counted, within the limits of `quota`.

        Args:
            deleted_file: the deleted file as it was read.
            restored: the file under its name.
            replaced_file: the file that the name has now; None: none.
            quota: the limits of the namespace, if the file is counted.
            event_is_pending: whether the completion of the file is still to be published, as its object's row says.
            object_due_at: until when the replaced file can be restored; then its object is deleted.
            now: the time of the restore, in epoch milliseconds.
            pending_event: the event of the restore; None: events are disabled.

        Raises:
            ConcurrentUpdate: the deleted file is gone, the name's file is not `replaced_file`, the usage leaves no
                room, or the completion of the file was published meanwhile.
        """
        ...
