"""Measure coverage in the tests that reach lines or branches first, and not in tests that repeat them.

Measuring adds half to the time of everything that runs in the process, the libraries included. The coverage floor of
`make test` is reached without the tests that are left out here:

- End-to-end tests and examples call a service in other processes.
- Slow tests repeat operations that quick tests cover: under faults, in random orders, with many sizes, on moto, and
  from other namespaces.
- The files of `REPEATING_FILES` send variants of requests that other tests send too, or test the template and tools.

In measured tests, calls of libraries that run none of Ferry's code are not measured: those of botocore, with moto below
it, and of jsonschema. Most of the time of an integration test is theirs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext
from functools import wraps
from typing import Any

import pytest

FIRST_WORKER = "gw0"
"""The name that pytest-xdist gives to its first process."""

FOLDERS_WITHOUT_COVERAGE = ("tests/e2e/", "tests/examples/", "tests/template/")

REPEATING_FILES = (
    "tests/contract/test_cleanup_repository.py",
    "tests/contract/test_object_store.py",
    "tests/contract/test_quotas.py",
    "tests/contract/test_upload_repository.py",
    "tests/contract/test_upload_repository_listings.py",
    "tests/integration/test_admin.py",
    "tests/integration/test_admin_quota.py",
    "tests/integration/test_attacks_bodies.py",
    "tests/integration/test_attacks_tokens.py",
    "tests/integration/test_audit.py",
    "tests/integration/test_download_table.py",
    "tests/integration/test_downloads.py",
    "tests/integration/test_http_rules.py",
    "tests/integration/test_least_privilege.py",
    "tests/integration/test_tenant_isolation.py",
    "tests/unit/test_openapi.py",
    "tests/unit/test_rotation.py",
    "tests/unit/test_status.py",
    "tests/unit/uploads/test_cleanup_budget.py",
    "tests/unit/uploads/test_cleanup_faults.py",
    "tests/unit/uploads/test_costs.py",
    "tests/unit/uploads/test_faults.py",
    "tests/unit/uploads/test_file_sizes.py",
    "tests/unit/uploads/test_limits.py",
    "tests/unit/uploads/test_random_histories.py",
)


def is_measured(item: pytest.Item) -> bool:
    """Return whether the run of a test, its fixtures included, counts for the coverage."""
    if item.nodeid.startswith((*FOLDERS_WITHOUT_COVERAGE, *REPEATING_FILES)):
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
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run a test, measured if it counts for the coverage."""
    with nullcontext() if is_measured(item) else _paused(item.config):
        return (yield)
