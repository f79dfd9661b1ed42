"""Run the slow tests that call the code in this process without coverage.

Tracing doubles the time of code that computes without waiting. The slow tests repeat operations that quick tests cover:
under faults, in random orders, with many sizes, on moto, and from other namespaces. The coverage floor of `make test`
is reached without them.
"""

from __future__ import annotations

import pytest

FOLDERS = ("tests/contract/", "tests/integration/", "tests/template/", "tests/unit/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add pytest-cov's marker `no_cover` to the tests of these folders that are marked `slow`."""
    for item in items:
        if item.nodeid.startswith(FOLDERS) and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.no_cover)
