"""The metadata table in memory."""

from __future__ import annotations

import threading

from dev.fakes.metadata_rows import Rows
from ferry.model.events import Event
from ferry.model.files import CompletionEvent


class MemoryTable:
    """Rows and their lock, which the repositories and the quota store in memory share."""

    def __init__(self) -> None:
        self.rows = Rows()
        """The stored rows. Tests may read and change them."""
        self.completions: dict[str, CompletionEvent] = {}
        """Every file that `put_file` committed, by upload id, published or not. Tests compare it with the events."""
        self.file_changes: dict[str, Event] = {}
        """Every event of a file that a repository stored, by its id, published or not. As `completions`."""
        self.lock = threading.RLock()
        """Held by each method of a repository: it is one atomic step."""
        self.was_restored = False
        """Whether `restore` was called."""

    def snapshot(self) -> Rows:
        """Return a copy of all rows, as a point-in-time backup holds them."""
        with self.lock:
            return self.rows.copy()

    def restore(self, rows: Rows) -> None:
        """Replace all rows by a copy of `rows` and set `was_restored`."""
        with self.lock:
            self.rows = rows.copy()
            self.completions = {key: event for key, event in self.completions.items() if key in rows.object_owners}
            self.was_restored = True
