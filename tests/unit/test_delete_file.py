"""Deletion of a finished file under conditions, also while the file is replaced."""

from __future__ import annotations

from typing import Any

import pytest

from ferry.errors import FileNotFound, PreconditionFailed
from ferry.files.delete import delete_file
from ferry.model.files import IfExists
from ferry.rules.conditions import Conditions
from tests.support.in_memory_service import NAME, NS, Client, InMemoryService, seeded_bytes


def upload(service: InMemoryService, body: bytes) -> str:
    """Upload a file, over the present one if there is one, and return its ETag."""
    client = Client(service, body)
    client.start(if_exists=IfExists.REPLACE)
    client.send_chunks()
    client.complete()
    return service.upload_repository.rows.files[NS, NAME].etag


def test_condition_is_evaluated_for_file_that_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that replaces the one of the condition after it was read is not deleted."""
    service = InMemoryService()
    first = upload(service, seeded_bytes(10))
    original = service.file_repository.delete_file

    def replace_before_delete(*arguments: Any, **options: Any) -> None:
        monkeypatch.undo()
        upload(service, seeded_bytes(11))
        original(*arguments, **options)

    monkeypatch.setattr(service.file_repository, "delete_file", replace_before_delete)
    with pytest.raises(PreconditionFailed):
        delete_file(service.services, NS, NAME, Conditions(if_match=first))
    assert service.file_content() == seeded_bytes(11)


def test_conditions_that_hold_delete_file() -> None:
    """Conditions that hold cost no further read; afterwards the file is not found, whatever the condition."""
    service = InMemoryService()
    etag = upload(service, seeded_bytes(10))
    service.log.calls.clear()
    delete_file(service.services, NS, NAME, Conditions(if_match=etag))
    assert service.log.methods.count("get_file") == 1
    with pytest.raises(FileNotFound):
        delete_file(service.services, NS, NAME, Conditions(if_match=etag))
