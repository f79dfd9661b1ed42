"""Distribution of the test files over the processes of pytest-xdist, for `--dist=loadfile`.

One process runs all tests of a file, so that the fixtures of a module are built once. Of itself xdist starts the files
with the most tests first. Here the files that take longest start first, so that no process is left with one at the end.
The end-to-end tests that share a local service are one unit, so that one service starts instead of one per process.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

SHARED_SERVICE_FOLDER = "tests/e2e/"
OWN_SERVICE_FILES = ("test_admin.py", "test_crash_recovery.py", "test_external_issuer.py")
"""The end-to-end tests that start a service of their own: each of these files is a unit of its own."""

LONGEST_FIRST = (
    SHARED_SERVICE_FOLDER,
    "tests/e2e/test_crash_recovery.py",
)
"""The units that take longer than 5 seconds, the longest first."""


class LongestFirstScheduling(LoadFileScheduling):  # type: ignore[misc] # xdist is untyped
    """Schedules a file at a time, in the order of the collection, which `pytest_collection_modifyitems` has sorted."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return the name of the unit that a test belongs to: its file, or the folder of the tests that share a service."""
    path = nodeid.partition("::")[0]
    if path.startswith(SHARED_SERVICE_FOLDER) and path.removeprefix(SHARED_SERVICE_FOLDER) not in OWN_SERVICE_FILES:
        return SHARED_SERVICE_FOLDER
    return path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Replace the scheduler of `--dist=loadfile`."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return LongestFirstScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move the longest units to the front. The other tests keep their order."""
    rank = {unit: position for position, unit in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(unit_of(item.nodeid), len(rank)))
