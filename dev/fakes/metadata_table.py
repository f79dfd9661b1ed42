"""The metadata table in memory."""

from __future__ import annotations

import copy
import threading

from dev.fakes.metadata_rows import Rows


class MemoryTable:
    """Rows and one lock, shared by the repositories in memory as they share one DynamoDB table."""

    def __init__(self) -> None:
        self.rows = Rows()
        self.lock = threading.RLock()
        self.was_restored = False

    def snapshot(self) -> Rows:
        """Return a copy of all rows, as a point-in-time backup holds them."""
        with self.lock:
            return copy.deepcopy(self.rows)

    def restore(self, rows: Rows) -> None:
        """Replace all rows by a copy of `rows` and set `was_restored`."""
        with self.lock:
            self.rows = copy.deepcopy(rows)
            self.was_restored = True
