"""List finished files."""

from __future__ import annotations

from ferry.model.files import File
from ferry.ports.types import Page
from ferry.services import Services


def list_files(services: Services, ns: str, prefix: str, cursor: str | None, limit: int) -> Page[File]:
    """Return one page of the files whose names begin with `prefix`, ordered by name."""
    return services.file_repository.list_files(ns, prefix, cursor, limit)
