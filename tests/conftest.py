"""What holds for every test: no real AWS, and no sockets where none are meant to be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from dev.testing.aws_environment import DUMMY_ENVIRONMENT

# `--hypothesis-profile=long` is for a night, the default for every run.
settings.register_profile("long", max_examples=3_000)

HERE = Path(__file__).parent
WITHOUT_SOCKETS = ("unit", "template")


@pytest.fixture(autouse=True)
def no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test finds the credentials, the profile or the endpoints of whoever runs it."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in DUMMY_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def no_sockets(request: pytest.FixtureRequest) -> None:
    """Unit tests that open a socket fail."""
    if request.path.relative_to(HERE).parts[0] in WITHOUT_SOCKETS:
        request.getfixturevalue("socket_disabled")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how large the fault matrix was, whichever worker ran its cells."""
    cells: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == "model":
                terminalreporter.write_line(f"model: {value}")
            if name == "fault matrix" and isinstance(value, list | tuple):
                cells[value[0]] += value[1]
    if cells:
        rows = ", ".join(f"{name} {number}" for name, number in cells.items())
        terminalreporter.write_line(f"fault matrix: {cells.total()} cells ({rows})")
