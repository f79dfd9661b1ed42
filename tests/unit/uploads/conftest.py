"""Fixtures for uploads with small parts, so that a test moves kilobytes instead of megabytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.in_memory_service import CHUNK_BYTES, InMemoryService


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let parts have two chunks of 64 KiB."""
    monkeypatch.setattr("ferry.rules.layout.DEFAULT_PART_BYTES", 2 * CHUNK_BYTES)
    monkeypatch.setattr("dev.fakes.object_store.MIN_PART_BYTES", 2 * CHUNK_BYTES)


@pytest.fixture
def service(small_parts: None) -> InMemoryService:
    """Return a service with small parts."""
    return InMemoryService()


@pytest.fixture
def matrix(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Return a counter of cases of the fault matrix. tests/conftest.py prints their sum at the end of the run."""

    def count(name: str, number: int) -> None:
        record_property("fault matrix", [name, number])

    return count
