"""Fixtures: a visit, and files to upload."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from dev.local.client import FerryClient
from dev.local.launcher import LocalService
from tests.clients.console.visit import Visit
from tests.e2e.clients import log_in_as

PIECE_BYTES = 2**24


@pytest.fixture
def new_visit(browser: Browser, local_service: LocalService) -> Iterator[Callable[..., Visit]]:
    """Makes visits, each in a fresh profile."""
    contexts = []

    def make(**options: object) -> Visit:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        return Visit(context, local_service)

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def visit(new_visit: Callable[..., Visit]) -> Visit:
    return new_visit()


@pytest.fixture
def api(local_service: LocalService) -> FerryClient:
    """The client `demo`."""
    return log_in_as(local_service, "demo")


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[[str, int], Path]:
    def make(name: str, size: int) -> Path:
        path = tmp_path / name
        source = random.Random(name)
        with path.open("wb") as file:
            for first in range(0, size, PIECE_BYTES):
                file.write(source.randbytes(min(PIECE_BYTES, size - first)))
        return path

    return make
