"""A request by a link that has read an upload, and goes on when another one has ended that: nothing counts twice."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from dev.fakes.faults import FaultPlan, FaultStep
from ferry.errors import FerryError
from ferry.services import Services
from tests.unit.links.guest import (
    BODY,
    MAKE_DEFERRED,
    SEND_HALF,
    SEND_REST,
    Guest,
    Step,
    assert_exact,
    begin,
    cancel_by_name,
    finish,
    let_hours_pass,
    make,
    remove,
    send,
)

CASES: dict[str, tuple[tuple[Step, ...], Step, Step]] = {
    "completion after a completion": ((begin, send), finish, finish),
    "completion after a cancellation": ((begin, send), finish, cancel_by_name),
    "last append after the same": ((make, SEND_HALF), SEND_REST, SEND_REST),
    "last append after a deletion": ((make, SEND_HALF), SEND_REST, remove),
    "growth after the same": ((MAKE_DEFERRED,), SEND_HALF, SEND_HALF),
    "growth after a deletion": ((MAKE_DEFERRED,), SEND_HALF, remove),
}
"""What happened before, the request that is late, and the one that overtakes it."""


def run_interrupted(name: str, number: int) -> Guest:
    """Run the late request with the other one before its call of this number."""
    guest = Guest()
    before, late, other = CASES[name]
    for step in before:
        step(guest, guest.services())
    steps: dict[int | tuple[str, int], FaultStep] = {number: partial(_run, other, guest, guest.services)}
    plan = FaultPlan(steps)
    _run(late, guest, lambda: guest.services(plan))
    return guest


def _run(step: Step, guest: Guest, services: Callable[[], Services]) -> None:
    with suppress(FerryError):
        step(guest, services())


@pytest.mark.parametrize("number", range(1, 13))
@pytest.mark.parametrize("name", CASES)
def test_overtaken_request_counts_nothing_twice(name: str, number: int) -> None:
    """Wherever another request ends the upload meanwhile, the counters are those of the files and uploads."""
    guest = run_interrupted(name, number)
    let_hours_pass(guest, 4)
    assert_exact(guest)
    guest.fixture.service.drain_cleanup()
    assert_exact(guest)
    assert guest.usage.started == 1
    assert guest.usage.received_bytes <= len(BODY)
