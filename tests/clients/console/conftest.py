"""Fixtures: a local service, a browser, a visit, and files to upload."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright

from dev.local.client import FerryClient
from dev.local.launcher import LocalService
from dev.testing.chromium import CHROMIUM, FLAGS
from tests.clients.console.visit import Visit
from tests.e2e.clients import log_in_as

PIECE_BYTES = 2**24


@pytest.fixture(scope="session")
def local_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """The service of all tests of the console, with every parameter at its default."""
    service = LocalService(tmp_path_factory.mktemp("console") / "state")
    yield service
    service.stop()


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


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
