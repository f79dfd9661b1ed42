"""Finished files: list and delete."""

from __future__ import annotations

from contextlib import suppress

from ferry.engine import DAY, Engine
from ferry.errors import BackendUnavailable, FileNotFound
from ferry.model import Deletion, Due, DueKind, File
from ferry.ports import Page
from ferry.telling import deleted, tell, tell_by
from ferry.uploads.current import decide

GRACE = DAY
"""How long the object of a replaced or deleted file stays, for downloads that have begun."""


def delete(engine: Engine, ns: str, name: str) -> None:
    """Remove the file; its bytes go a day later.

    Raises:
        FileNotFound: it is not there (any more).
    """

    def attempt() -> None:
        file = engine.ledger.file(ns, name)
        if file is None:
            raise FileNotFound
        now, noted = engine.clock(), tell_by(engine)
        engine.ledger.delete_file(file, object_due=now + GRACE, now=now, tell_by=noted)
        if noted is not None:
            with suppress(BackendUnavailable):
                tell_deleted(engine, Deletion(file, now), Due(DueKind.DELETED, file.upload_id, noted))

    decide(attempt)


def tell_deleted(engine: Engine, deletion: Deletion, note: Due) -> bool:
    """Tell it, and drop the note; whether that could be done."""
    if not tell(engine, [deleted(deletion)]):
        return False
    engine.ledger.bury(note)
    return True


def list_files(engine: Engine, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
    """The namespace's files by name."""
    return engine.ledger.files(ns, prefix, cursor, limit)
