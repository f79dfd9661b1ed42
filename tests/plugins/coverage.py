"""Measure coverage in the tests that reach lines or branches first, and not in tests that repeat them.

Measuring adds half to the time of everything that runs in the process, the libraries included. The coverage floor of
`make test` is reached without the tests that are left out here:

- End-to-end tests and examples call a service in other processes, and the client's tests one that is not Ferry's.
- Slow tests repeat operations that quick tests cover: under faults, in random orders, with many sizes, on moto, and
  from other namespaces.
- The files and tests of `tests/plugins/repeating_tests.py` send variants of requests that other tests send too, or test
  the template and tools.

In measured tests, calls of libraries that run none of Ferry's code are not measured: those of botocore, with moto below
it, and of jsonschema. Most of the time of an integration test is theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import wraps
from typing import Any

import pytest

from tests.plugins.repeating_tests import REPEATING_FILES, REPEATING_TESTS

FIRST_WORKER = "gw0"
"""The name that pytest-xdist gives to its first process."""

_PAUSES = pytest.StashKey[ExitStack]()
_IS_PAUSED = pytest.StashKey[bool]()

FOLDERS_WITHOUT_COVERAGE = ("client/tests/", "tests/e2e/", "tests/examples/", "tests/template/")


def is_measured(item: pytest.Item) -> bool:
    """Return whether the run of a test, its fixtures included, counts for the coverage."""
    path, _, name = item.nodeid.partition("[")[0].partition("::")
    if item.nodeid.startswith(FOLDERS_WITHOUT_COVERAGE) or path in REPEATING_FILES:
        return False
    if name in REPEATING_TESTS.get(path, ()):
        return False
    return item.get_closest_marker("slow") is None


def collects_measured(config: pytest.Config) -> bool:
    """Return whether this process measures the imports of a collection, which all processes of a run repeat."""
    worker_input = getattr(config, "workerinput", None)
    return worker_input is None or worker_input["workerid"] == FIRST_WORKER


@contextmanager
def _paused(config: pytest.Config) -> Iterator[None]:
    """Stop the measurement of pytest-cov, where it runs."""
    controller = getattr(config.pluginmanager.get_plugin("_cov"), "cov_controller", None)
    if controller is None:
        yield
        return
    from coverage.collector import Collector

    controller.pause()
    # pytest-cov starts a measurement in each process before it knows that pytest-xdist started it, and never ends it.
    for collector in Collector._collectors:
        collector.pause()
    try:
        yield
    finally:
        controller.resume()


def unmeasured(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, during whose calls the measurement of the calling thread is stopped."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        tracer = sys.gettrace()
        # The tracer of coverage in C. Other tracers cannot start again in the middle of a function.
        if type(tracer).__qualname__ != "CTracer":
            return function(*args, **kwargs)
        tracer.stop()  # type: ignore[union-attr]
        try:
            return function(*args, **kwargs)
        finally:
            tracer.start()  # type: ignore[union-attr]

    return call


@pytest.fixture(scope="session", autouse=True)
def unmeasured_libraries() -> Iterator[None]:
    """Stop the measurement in botocore and jsonschema until the end of the run."""
    import jsonschema
    from botocore.client import BaseClient
    from botocore.session import Session

    with pytest.MonkeyPatch.context() as patch:
        for library_class, name in (
            (BaseClient, "_make_api_call"),
            (Session, "create_client"),
            (jsonschema.Draft202012Validator, "validate"),
        ):
            patch.setattr(library_class, name, unmeasured(getattr(library_class, name)))
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Collect the tests, measured in one process of the run only."""
    with nullcontext() if collects_measured(session.config) else _paused(session.config):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Run a test, measured if it counts for the coverage. A pause lasts until the next test that counts."""
    pauses = item.config.stash.setdefault(_PAUSES, ExitStack())
    if not is_measured(item) and not item.config.stash.get(_IS_PAUSED, False):
        pauses.enter_context(_paused(item.config))
        item.config.stash[_IS_PAUSED] = True
    try:
        return (yield)
    finally:
        if nextitem is None or is_measured(nextitem):
            pauses.close()
            item.config.stash[_IS_PAUSED] = False
