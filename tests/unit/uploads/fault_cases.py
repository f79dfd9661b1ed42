"""The cases of the fault matrix (one fault at one call of one operation) that differ from each other.

A call that only reads has no effect. So for such a call a fault before its effect is the same as one after it, and an
effect that arrives late is none. Equal cases are run once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from _pytest.mark import ParameterSet

from dev.fakes.faults import SINGLE_CONDITIONAL_WRITES, Call, Fault, FaultPlan, FaultStep
from tests.support.in_memory_service import InMemoryService

READ_PREFIXES = ("find", "get", "head", "list")
"""How the names of all calls begin that only read (`test_read_calls_have_no_effect` checks them)."""

FAULTS_OF_READS = frozenset(
    {Fault.UNAVAILABLE, Fault.THROTTLED, Fault.CRASH_BEFORE, Fault.TIMEOUT_BEFORE, Fault.SLOW},
)
"""One fault of each group that is the same for a call that only reads."""

QUICK_FAULTS = frozenset({Fault.UNAVAILABLE, Fault.LOST_RESPONSE, Fault.CRASH_BEFORE})
"""The faults of every run: an error and a crash before the effect, an error after it. The others are stress tests."""


def faults() -> list[ParameterSet]:
    """Return every fault to parametrize a test with. `make test` runs `QUICK_FAULTS`, `make test-stress` the others."""
    return [pytest.param(fault, marks=[] if fault in QUICK_FAULTS else [pytest.mark.stress]) for fault in Fault]


def is_read(method: str) -> bool:
    """Return whether a call only reads."""
    return method.startswith(READ_PREFIXES)


def calls_to_break(methods: Sequence[str], fault: Fault) -> list[int]:
    """Return the numbers, from 1, of the calls at which this fault differs from all others and from none."""
    return [number for number, method in enumerate(methods, 1) if _differs(method, fault)]


def _differs(method: str, fault: Fault) -> bool:
    if is_read(method):
        return fault in FAULTS_OF_READS
    return fault is not Fault.SDK_RETRY or method in SINGLE_CONDITIONAL_WRITES


@dataclass
class ReadCheck(FaultPlan):
    """Checks before each call that the call before it had no effect, if it was a read."""

    service: InMemoryService | None = None
    before_read: object = None

    def step(self, call: Call, nth: int) -> FaultStep | None:
        assert self.service is not None
        self.check()
        self.before_read = stored_state(self.service) if is_read(call.method) else None
        return None

    def check(self) -> None:
        """Compare the state now with the state before the last call, if that was a read."""
        assert self.service is not None
        assert self.before_read in (None, stored_state(self.service))


def stored_state(service: InMemoryService) -> object:
    """Return a copy of all that the backends hold."""
    store = service.object_store
    multipart_uploads = {key: dict(upload.parts) for key, upload in store.multipart_uploads.items()}
    return service.upload_repository.snapshot(), dict(store.objects), multipart_uploads
