"""The ledger in memory as the clean-up looks at it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ferry.aws import cursors
from ferry.model import Due, DueKind, Search, Session
from ferry.ports import Moved, Page
from tests.fakes.ledger_rows import Name, Rows


class CleanupMemory:
    """The part of `ferry.ports.Ledger` that is the clean-up's, over rows in memory."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._lock = threading.RLock()

    # What is due

    def due(self, now: int, cursor: str | None, limit: int) -> Page[Due]:
        listing = ("due",)
        at = cursors.decode(cursor, listing, "nss") if cursor is not None else None
        with self._lock:
            found = [Due(kind, subject, due) for (kind, subject), due in self.rows.dues.items() if due <= now]
        found.sort(key=_position)
        rest = [entry for entry in found if at is None or _position(entry) > at]
        more = cursors.encode(listing, _position(rest[limit - 1])) if len(rest) > limit else None
        return Page(rest[:limit], more)

    def reschedule(self, entry: Due, due: int) -> None:
        with self._lock:
            self._demand_due(entry)
            self.rows.dues[entry.kind, entry.subject] = due

    def bury(self, entry: Due) -> None:
        if entry.kind is DueKind.SESSION:
            raise ValueError("a session is no tomb")
        with self._lock:
            self.rows.dues.pop((entry.kind, entry.subject), None)
            if entry.kind is DueKind.DELETED:
                self.rows.deletions.pop(entry.subject, None)
            if entry.kind is DueKind.OBJECT:
                self.rows.objects.pop(entry.subject, None)

    def erase_rows(self, upload_id: str, *, until: int) -> bool:
        with self._lock:
            self.rows.stripes.pop(upload_id, None)
            self.rows.claims.pop(upload_id, None)
        return True

    # What S3 has, and who knows it

    def sessions(self, upload_ids: Iterable[str]) -> Mapping[str, Session]:
        with self._lock:
            return {found: self.rows.sessions[found] for found in upload_ids if found in self.rows.sessions}

    def owners(self, upload_ids: Iterable[str]) -> Mapping[str, Name | None]:
        with self._lock:
            return {found: self.rows.objects[found] for found in upload_ids if found in self.rows.objects}

    def keep(self, upload_id: str, owner: Name | None, *, due: int) -> None:
        with self._lock:
            if upload_id in self.rows.objects:
                raise Moved
            self.rows.objects[upload_id] = owner
            self.rows.dues[DueKind.OBJECT, upload_id] = due

    def acquit(self, entry: Due) -> None:
        with self._lock:
            self._demand_due(replace(entry, kind=DueKind.OBJECT))
            del self.rows.dues[DueKind.OBJECT, entry.subject]

    def search(self) -> Search | None:
        with self._lock:
            return self.rows.search

    def save_search(self, search: Search) -> None:
        with self._lock:
            found = self.rows.search
            if search.version != (1 if found is None else found.version + 1):
                raise Moved
            self.rows.search = search

    def _demand_due(self, entry: Due) -> None:
        if self.rows.dues.get((entry.kind, entry.subject)) != entry.due:
            raise Moved


def _position(entry: Due) -> list[str | int]:
    return [entry.due, entry.kind.value, entry.subject]
