"""Run Python's cyclic garbage collector seldom.

The modules and test items of a run are some million objects that stay until its end. The collector visits them again
and again, which takes a fifth of the time of the tests over moto. Here it does not run during the collection of the
tests, ignores all objects of that time afterwards, and runs at larger thresholds.
"""

from __future__ import annotations

import gc

import pytest

NEW_OBJECTS_PER_RUN = 20_000
"""Objects more than at the last run of the collector, after which it runs again. Python's default is 700."""

RUNS_PER_OLDER_GENERATION = 20
"""Runs on a generation after which the next older one is visited too. Python's default is 10."""


def pytest_configure() -> None:
    """Stop the collector until the tests are collected."""
    gc.disable()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Exempt the objects that exist now, and start the collector."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS_PER_RUN, RUNS_PER_OLDER_GENERATION, RUNS_PER_OLDER_GENERATION)
    gc.enable()
