"""The fault matrix of uploads by a link: each call of each operation fails in each way.

Afterwards the guest repeats the operation, or never comes back. Once cleanup has run, the counters of the link are
those of its files and of its uploads in progress.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from dev.fakes.faults import CallLog, Fault, FaultPlan
from ferry.errors import FerryError
from tests.support.in_memory_service import LEASE_MS, swallow_crash
from tests.unit.links.guest import (
    MAKE_DEFERRED,
    MAKE_PARTIAL,
    SEND_ALL,
    SEND_HALF,
    SEND_REST,
    Guest,
    Step,
    assert_exact,
    begin,
    cancel_by_name,
    concatenate,
    finish,
    let_hours_pass,
    make,
    remove,
    send,
)
from tests.unit.uploads.fault_cases import calls_to_break, faults

pytestmark = pytest.mark.slow

CountCases = Callable[[str, int], None]


SCENARIOS: dict[str, tuple[tuple[Step, ...], Step]] = {
    "start": ((), begin),
    "chunk": ((begin,), send),
    "complete": ((begin, send), finish),
    "cancel": ((begin, send), cancel_by_name),
    "create": ((), make),
    "create of unknown length": ((), MAKE_DEFERRED),
    "append": ((make,), SEND_HALF),
    "append that grows": ((MAKE_DEFERRED,), SEND_HALF),
    "last append": ((make, SEND_HALF), SEND_REST),
    "delete": ((make, SEND_HALF), remove),
    "delete of unknown length": ((MAKE_DEFERRED, SEND_HALF), remove),
    "partial upload": ((MAKE_PARTIAL,), SEND_ALL),
    "final upload": ((MAKE_PARTIAL, SEND_ALL, MAKE_PARTIAL, SEND_ALL), concatenate),
    "delete of a partial upload": ((MAKE_PARTIAL, SEND_ALL), remove),
}
"""What happened before, and the step whose calls fail."""


def prepare(name: str) -> Guest:
    guest = Guest()
    for step in SCENARIOS[name][0]:
        step(guest, guest.services())
    return guest


def calls_of(name: str) -> list[str]:
    guest, log = prepare(name), CallLog()
    SCENARIOS[name][1](guest, guest.services(log=log))
    return log.methods


@pytest.mark.parametrize("fault", faults())
@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize(
    "comes_back", [True, pytest.param(False, marks=pytest.mark.stress)], ids=["comes back", "abandoned"]
)
def test_counters_are_exact_after_any_failed_call(
    name: str, fault: Fault, matrix: CountCases, *, comes_back: bool
) -> None:
    """Whatever call fails, and whether the guest repeats the operation or not, cleanup leaves exact counters."""
    for number in calls_to_break(calls_of(name), fault):
        guest, plan = prepare(name), FaultPlan({number: fault})
        step = SCENARIOS[name][1]
        with suppress(FerryError):
            swallow_crash(partial(step, guest, guest.services(plan)))
        plan.apply_in_flight()
        if comes_back:
            guest.fixture.service.clock.advance(LEASE_MS + 1)
            with suppress(FerryError):
                step(guest, guest.services())
        let_hours_pass(guest, 4)
        assert_exact(guest, moved=name == "final upload")
        guest.fixture.service.drain_cleanup()
        assert_exact(guest)
        assert guest.usage.reservations == {}
        matrix(f"by a link, {name}{'' if comes_back else ', abandoned'}", 1)
