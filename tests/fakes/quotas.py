"""Quotas in memory, over the rows of a ledger in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ferry.model import File, Quota, Session, State
from ferry.ports import Moved
from tests.fakes.ledger_rows import Rows

if TYPE_CHECKING:
    from tests.fakes.ledger import MemoryLedger


def marked(file: File) -> tuple[str, bool]:
    """What must be as it was read of a file that goes."""
    return file.upload_id, file.counted


def count(rows: Rows, ns: str, size: int, uploads: int) -> None:
    if size or uploads:
        used = rows.quotas[ns]
        rows.quotas[ns] = replace(used, bytes=used.bytes + size, uploads=used.uploads + uploads)


class MemoryQuotas:
    """`ferry.quotas.Quotas`. Each method is one atomic step of the ledger."""

    def __init__(self, ledger: MemoryLedger) -> None:
        self._ledger = ledger

    def quota(self, ns: str) -> Quota | None:
        return self._ledger.rows.quotas.get(ns)

    def limit(self, ns: str, *, max_bytes: int | None, max_uploads: int | None, max_file: int | None) -> Quota:
        quotas = self._ledger.rows.quotas
        used = quotas.get(ns, Quota())
        quotas[ns] = Quota(max_bytes, max_uploads, max_file, used.bytes, used.uploads)
        return quotas[ns]

    def count_file(self, file: File) -> None:
        rows, name = self._ledger.rows, (file.ns, file.name)
        found = rows.files.get(name)
        if found is None or marked(found) != (file.upload_id, False) or file.ns not in rows.quotas:
            raise Moved
        rows.files[name] = replace(file, counted=True)
        count(rows, file.ns, file.size, 0)

    def count_upload(self, session: Session) -> None:
        rows = self._ledger.rows
        found = rows.sessions.get(session.upload_id)
        if found is None or found.counted or found.state not in (State.CREATING, State.OPEN):
            raise Moved
        if found.ns not in rows.quotas:
            raise Moved
        rows.sessions[session.upload_id] = replace(found, counted=True, version=found.version + 1)
        count(rows, found.ns, found.grid.size, 1)
