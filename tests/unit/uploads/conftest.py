"""Uploads with small parts, so that a test moves kilobytes and not megabytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from tests.support.world import CHUNK, World


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """A Ferry in memory whose parts have two chunks of 64 KiB."""
    monkeypatch.setattr("ferry.grid.DEFAULT_PART_SIZE", 2 * CHUNK)
    monkeypatch.setattr("tests.fakes.objects.MIN_PART_SIZE", 2 * CHUNK)
    return World()


_MATRIX: pytest.StashKey[Counter[str]] = pytest.StashKey()


@pytest.fixture
def matrix(request: pytest.FixtureRequest) -> Callable[[str, int], None]:
    """Count cells of the fault matrix; the sum is printed at the end of the run."""
    cells = request.config.stash.setdefault(_MATRIX, Counter())

    def count(name: str, number: int) -> None:
        cells[name] += number

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how large the matrix was."""
    cells = config.stash.get(_MATRIX, Counter())
    if cells:
        rows = ", ".join(f"{name} {number}" for name, number in cells.items())
        terminalreporter.write_line(f"fault matrix: {cells.total()} cells ({rows})")
