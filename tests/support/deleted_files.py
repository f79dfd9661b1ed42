"""Files in memory that are deleted and restored."""

from __future__ import annotations

from typing import Any

from ferry.files.delete import delete_file
from ferry.files.restore import RestoreRequest, restore_file
from ferry.model.files import File
from tests.support.files import put_file
from tests.support.in_memory_service import NS, InMemoryService


def delete(service: InMemoryService, name: str = "a") -> None:
    """Delete a file, and let a moment pass."""
    delete_file(service.services, NS, name)
    service.clock.advance(1)


def put_and_delete(service: InMemoryService, name: str = "a", body: bytes = b"bytes", **fields: Any) -> File:
    """Store a file and delete it."""
    file = put_file(service, name, body, **fields)
    delete(service, name)
    return file


def restore(service: InMemoryService, name: str = "a", **options: Any) -> File:
    """Restore a file; the options are those of the request."""
    return restore_file(service.services, NS, RestoreRequest(name, **options))
