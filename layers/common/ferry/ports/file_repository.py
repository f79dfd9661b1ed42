"""The metadata store, as requests about finished files use it."""

from __future__ import annotations

from typing import Protocol

from ferry.model.files import File
from ferry.ports.types import Slice


class FileRepository(Protocol):
    """Finished files and their pending events (docs/decisions/0011). Reads are strongly consistent.

    Parameters named `…due_at` and `publish_deadline` are epoch milliseconds: when cleanup looks at the row.
    """

    def get_file(self, ns: str, name: str) -> File | None: ...

    def list_files(self, ns: str, prefix: str, *, start: str, limit: int) -> Slice[File]:
        """Return up to `limit` files whose name has the prefix, ordered by the UTF-8 bytes of the name.

        `start` begins with the prefix (`ferry.rules.listing`): names in front of it are left out.
        """
        ...

    def delete_file(self, file: File, *, object_due_at: int, now: int, publish_deadline: int | None = None) -> None:
        """Delete a file in one transaction: the name, and its bytes from the usage. Its object is scheduled.

        Args:
            file: the file as it was read.
            object_due_at: when its object is deleted.
            now: the time of the deletion, in epoch milliseconds.
            publish_deadline: the deletion event is pending; cleanup publishes it then. None: events are disabled.

        Raises:
            ConcurrentUpdate: the name has another file or none, or the file was counted since it was read.
        """
        ...
