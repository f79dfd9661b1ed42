"""Fixtures for sequential uploads with small parts, so that a test moves kilobytes instead of megabytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.in_memory_service import CHUNK_BYTES, InMemoryService

PART_BYTES = 2 * CHUNK_BYTES


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make parts of two chunks of 64 KiB, four chunks if the length is deferred."""
    monkeypatch.setattr("ferry.rules.layout.DEFAULT_PART_BYTES", PART_BYTES)
    monkeypatch.setattr("ferry.uploads.build_final.MIN_PART_BYTES", PART_BYTES)
    monkeypatch.setattr("ferry.resumable.concatenate.MIN_PART_BYTES", PART_BYTES)
    monkeypatch.setattr("ferry.resumable.create.MAX_CHUNK_BYTES", CHUNK_BYTES)
    monkeypatch.setattr("ferry.resumable.create.MAX_ASSEMBLED_PART_BYTES", 2 * PART_BYTES)
    monkeypatch.setattr("dev.fakes.object_store.MIN_PART_BYTES", PART_BYTES)


@pytest.fixture
def service() -> InMemoryService:
    """Return a service with events."""
    return InMemoryService(publish_events=True)


@pytest.fixture
def matrix(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Return a counter of cases of the fault matrix. tests/conftest.py prints their sum at the end of the run."""

    def count(name: str, number: int) -> None:
        record_property("fault matrix", [name, number])

    return count
