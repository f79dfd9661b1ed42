"""The scheduler that runs requests at once, call by call."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from dev.fakes.faults import CallLog, FaultPlan
from tests.support.in_memory_service import NS, InMemoryService
from tests.support.scheduler import run_interleaved

CALLS = ("get_current_upload", "get_name", "get_current_upload")


def run_calls_interleaved(order: list[int]) -> list[tuple[int, str]]:
    """Run `CALLS` in two operations at once. Return which of them made which call, in order."""
    service = InMemoryService()
    made: list[tuple[int, str]] = []

    def operation(number: int) -> Callable[[FaultPlan], None]:
        def run(plan: FaultPlan) -> None:
            services = service.new_services(plan, CallLog())
            for method in CALLS:
                getattr(services.upload_repository, method)(NS, "a")
                made.append((number, method))

        return run

    run_interleaved([operation(1), operation(2)], itertools.cycle(order))
    return made


def test_run_interleaved_same_order_same_run() -> None:
    """The order decides which operation makes the next call, and nothing else does."""
    assert run_calls_interleaved([0]) == [(number, method) for number in (1, 2) for method in CALLS]
    assert run_calls_interleaved([0, 1]) == [(number, method) for method in CALLS for number in (1, 2)]
    assert run_calls_interleaved([0, 1, 1, 0, 1]) == run_calls_interleaved([0, 1, 1, 0, 1])


def test_run_interleaved_operation_fails_raises() -> None:
    """An assertion that fails in one operation fails the test."""

    def fail(_: FaultPlan) -> None:
        raise AssertionError("wrong")

    with pytest.raises(AssertionError, match="wrong"):
        run_interleaved([fail, lambda _: None], itertools.cycle([1, 0]))
