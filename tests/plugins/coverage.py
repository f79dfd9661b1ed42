"""Run tests that repeat the lines of other tests without coverage, which doubles the time of code that computes.

The slow tests repeat operations that quick tests cover: under faults, in random orders, with many sizes, on moto, and
from other namespaces. The files of `REPEATING_FILES` send variants of requests that other tests send too. The coverage
floor of `make test` is reached without them.
"""

from __future__ import annotations

import pytest

FOLDERS = ("tests/contract/", "tests/integration/", "tests/template/", "tests/unit/")
"""The folders whose tests call the code in this process."""

REPEATING_FILES = (
    "tests/contract/test_upload_repository_listings.py",
    "tests/integration/test_attacks_bodies.py",
    "tests/integration/test_attacks_tokens.py",
    "tests/integration/test_download_table.py",
    "tests/integration/test_downloads.py",
    "tests/integration/test_http_rules.py",
    "tests/integration/test_least_privilege.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add pytest-cov's marker `no_cover` to the slow tests of these folders and to all tests of these files."""
    for item in items:
        is_slow = item.nodeid.startswith(FOLDERS) and item.get_closest_marker("slow")
        if is_slow or item.nodeid.startswith(REPEATING_FILES):
            item.add_marker(pytest.mark.no_cover)
