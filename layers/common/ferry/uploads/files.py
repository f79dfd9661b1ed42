"""Finished files: list and delete."""

from __future__ import annotations

from ferry.engine import DAY, Engine
from ferry.errors import FileNotFound
from ferry.model import File
from ferry.ports import Page
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
        engine.ledger.delete_file(file, object_due=engine.clock() + GRACE)

    decide(attempt)


def list_files(engine: Engine, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
    """The namespace's files by name."""
    return engine.ledger.files(ns, prefix, cursor, limit)
