"""The test files are distributed over processes by units that exist, the longest first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from tests.plugins.scheduling import (
    FOLDERS_AS_UNITS,
    LONGEST_FIRST,
    OWN_SERVICE_FILES,
    pytest_collection_modifyitems,
    unit_of,
)

ROOT = Path(__file__).parents[2]


@dataclass
class CollectedTest:
    """Stands in for `pytest.Item`."""

    nodeid: str


@pytest.mark.parametrize("path", sorted({*LONGEST_FIRST, *OWN_SERVICE_FILES, *FOLDERS_AS_UNITS}))
def test_listed_unit_exists(path: str) -> None:
    """Each listed file or folder exists, so that a rename is carried into the lists."""
    assert (ROOT / path).exists()


@pytest.mark.parametrize("file", OWN_SERVICE_FILES)
def test_own_unit_starts_service_or_takes_long(file: str) -> None:
    """Each file that is a unit of its own starts a local service, or is one of those that take longest."""
    assert "LocalService(" in (ROOT / file).read_text(encoding="utf-8") or file in LONGEST_FIRST[:3]


@pytest.mark.parametrize(
    ("nodeid", "unit"),
    [
        ("tests/unit/test_scheduling.py::test_listed_unit_exists[a::b]", "tests/unit/test_scheduling.py"),
        ("tests/e2e/test_status.py::test_listings_are_paginated", "tests/e2e/"),
        ("tests/e2e/test_admin.py::test_client_actions_are_logged", "tests/e2e/test_admin.py"),
    ],
)
def test_unit_of_test_is_file_or_folder(nodeid: str, unit: str) -> None:
    """A test belongs to its file, or to a folder that is one unit."""
    assert unit_of(nodeid) == unit


def test_collection_starts_with_longest_units() -> None:
    """The longest units come first, and the tests of a unit keep their order."""
    nodeids = ["tests/a.py::b", "tests/a.py::a", *(f"{unit}::test" for unit in reversed(LONGEST_FIRST))]
    items = [CollectedTest(nodeid) for nodeid in nodeids]
    pytest_collection_modifyitems(cast(Any, items))
    longest = [f"{unit}::test" for unit in LONGEST_FIRST]
    assert [item.nodeid for item in items] == [*longest, "tests/a.py::b", "tests/a.py::a"]
