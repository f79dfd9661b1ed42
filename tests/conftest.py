"""Settings and guards of every test: dummy AWS credentials, sockets only where a suite needs them, a summary."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from client.tests.interruption import sigint_ends_programs
from dev.testing.aws_environment import DUMMY_ENVIRONMENT

__all__ = ["sigint_ends_programs"]
"""Fixtures of other modules, which pytest finds here."""

pytest_plugins = (
    "tests.plugins.coverage",
    "tests.plugins.garbage_collector",
    "tests.plugins.moto_shortcuts",
    "tests.plugins.scheduling",
    "tests.plugins.shared_botocore_models",
    "tests.plugins.small_reports",
)

# An example may take any time: on a loaded machine a call of a millisecond sometimes takes a second.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")
# `make test` runs with `--hypothesis-profile=commit`, and `make test-stress` the same tests with `long`, or in CI with
# the 100 examples of `default`.
settings.register_profile("commit", max_examples=30)
settings.register_profile("long", max_examples=3_000)

TESTS = Path(__file__).parent
FOLDERS_WITHOUT_SOCKETS = ("unit", "template")
FOLDERS_WITH_MOTO = ("contract", "integration", "template")


@pytest.fixture(autouse=True)
def no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the AWS credentials, profile and endpoints of the environment with dummies."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in DUMMY_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def folder_fixtures(request: pytest.FixtureRequest) -> None:
    """Request the fixtures that hold for a whole folder: no sockets in unit tests, shortcuts where moto runs."""
    folder = request.path.relative_to(TESTS).parts[0]
    if folder in FOLDERS_WITHOUT_SOCKETS:
        request.getfixturevalue("socket_disabled")
    if folder in FOLDERS_WITH_MOTO:
        request.getfixturevalue("moto_shortcuts")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the size of the fault matrix, summed over all workers, and the size of the model's state space."""
    cases: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            if name == "model":
                terminalreporter.write_line(f"model: {value}")
            if name == "fault matrix" and isinstance(value, list | tuple):
                cases[value[0]] += value[1]
    if cases:
        rows = ", ".join(f"{name} {number}" for name, number in cases.items())
        terminalreporter.write_line(f"fault matrix: {cases.total()} cases ({rows})")
