"""Fixtures of the client's tests: a service in memory, and no waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from client.tests.fake_service import URL, FakeService
from client.tests.interruption import sigint_ends_programs
from ferry_client.client import Ferry
from ferry_client.options import ClientOptions

__all__ = ["sigint_ends_programs"]
"""Fixtures of other modules, which pytest finds here."""


@pytest.fixture
def fake() -> FakeService:
    return FakeService()


@pytest.fixture
def connect(fake: FakeService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Ferry]]:
    """Return a function that makes a client of the fake service; its arguments are those of `ClientOptions`."""
    clients: list[Ferry] = []

    def make(**options: Any) -> Ferry:
        ferry = Ferry(
            URL,
            client_id="camera-7",
            client_secret="s3cret",
            options=ClientOptions(**{"direct_from_bytes": 8 * 1024 * 1024, "part_bytes": 5 * 1024 * 1024, **options}),
            state_dir=tmp_path / "state",
            transport=fake,
        )
        monkeypatch.setattr(ferry.api, "sleep", lambda seconds: None)
        clients.append(ferry)
        return ferry

    yield make
    for ferry in clients:
        ferry.close()
