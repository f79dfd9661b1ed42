"""Send small reports of passed tests from the processes of pytest-xdist to the one that prints them.

A report has the names of the test's folders and everything that it printed, once for each of its three phases. Nothing
of a passed test is printed but a dot and its duration. A failed test keeps all of it.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Empty the keywords and the output of a report that another process reads."""
    report = yield
    if report.passed and hasattr(item.config, "workerinput"):
        report.keywords = {}
        report.sections = []
    return report
