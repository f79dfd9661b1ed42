"""Makes any port fail at a chosen call, before or after the effect, and writes down every call.

    log, script = Log(), Script({3: Fault.LOST_ANSWER})
    ledger = faulty(MemoryLedger(), script, log)
    objects = faulty(MemoryObjects(clock), script, log)

Calls are numbered from 1 over all ports that share a log, so a first run without faults tells how many there are to
break. Signing a URL is no call to a backend and is not counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, cast

from ferry.errors import BackendUnavailable, Throttled
from ferry.model.uploads import ProgressShard
from ferry.ports.errors import ConcurrentUpdate

P = TypeVar("P")

SINGLE_CONDITIONAL_WRITES = frozenset(
    {
        "mark_open",
        "record_chunk",
        "record_activity",
        "reschedule_task",
        "schedule_object",
        "unschedule_task",
        "save_orphan_scan",
    }
)
LOCAL_METHODS = frozenset({"cursor_after", "presign_part", "presign_get"})


class ProcessCrashed(BaseException):
    """The process is gone: nothing it might still have done happens. No `except Exception` may catch it."""


class Fault(StrEnum):
    """What happens to a call."""

    UNAVAILABLE = "unavailable"
    """`BackendUnavailable`, and no effect."""
    LOST_RESPONSE = "lost response"
    """The effect, and then `BackendUnavailable`."""
    SDK_RETRY = "sdk_retry"
    """The effect, and then `Moved`: the SDK repeated a conditional write whose answer was lost. Transactions carry a
    token and cannot meet this; nor can a call without a condition. To both it does nothing.
    """
    CRASH_BEFORE = "crash before"
    """`Crashed`, and no effect."""
    CRASH_AFTER = "crash after"
    """The effect, and then `Crashed`."""
    THROTTLED = "throttled"
    """`Throttled`, and no effect: the backend still had too much to do after the adapter's own tries."""
    TIMEOUT_BEFORE = "timeout before"
    """The call takes so long that the function is ended before it has an effect: `Crashed`, and the clock is beyond
    every lease and budget of that process.
    """
    TIMEOUT_AFTER = "timeout after"
    """The same, but the effect was there."""
    DELAYED_EFFECT = "delayed_effect"
    """The function was ended with the call on its way: it takes effect at `Script.land`, when others have moved on."""
    SLOW = "slow"
    """The effect, but it takes so long that the clock is beyond every lease; and the process goes on, knowing nothing
    of it.
    """


FaultStep = Fault | Callable[[], object]
"""A fault, or something that another actor does just before the call."""


@dataclass(frozen=True)
class Call:
    """One call as it was made; `number` counts from 1 over the log."""

    number: int
    port: str
    method: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]


@dataclass
class CallLog:
    """Every call, in the order in which they began. Ports may share one."""

    calls: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, port: str, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        with self.lock:
            call = Call(len(self.calls) + 1, port, method, args, kwargs)
            self.calls.append(call)
            return call

    @property
    def methods(self) -> list[str]:
        return [call.method for call in self.calls]

    def count(self, method: str) -> int:
        return self.methods.count(method)


@dataclass
class FaultPlan:
    """Which calls fail: by their number in the log, or as (method, n) for the n-th call of that name, from 1.

    Once it has crashed, every later call of the same process raises `Crashed` too: what runs after a crash is another
    process, with another script. `jump` moves the clock beyond what the process may take.
    """

    steps: Mapping[int | tuple[str, int], FaultStep] = field(default_factory=dict)
    crashed: bool = False
    advance_clock: Callable[[], object] = lambda: None
    in_flight: list[Callable[[], object]] = field(default_factory=list)

    def step(self, call: Call, nth: int) -> FaultStep | None:
        return self.steps.get(call.number, self.steps.get((call.method, nth)))

    def apply_in_flight(self) -> None:
        """What was on its way when its process ended takes effect now, if it still can; nobody hears of it."""
        for effect in self.in_flight:
            with suppress(Exception):
                effect()
        self.in_flight.clear()


class FaultInjector:
    """Stands before a port and obeys a script. Use `faulty`, which keeps the port's type."""

    def __init__(self, port: object, plan: FaultPlan, log: CallLog) -> None:
        self._port = port
        self._plan = plan
        self._log = log
        self._seen: dict[str, int] = {}

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if name.startswith("_") or name in LOCAL_METHODS or not callable(found):
            return found

        def call(*args: object, **kwargs: object) -> object:
            return self._call(name, found, args, kwargs)

        return call

    def _call(
        self, name: str, method: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> object:
        if self._plan.crashed:
            raise ProcessCrashed(name)
        call = self._log.add(type(self._port).__name__, name, args, kwargs)
        with self._log.lock:
            nth = self._seen[name] = self._seen.get(name, 0) + 1
        step = self._plan.step(call, nth)
        if isinstance(step, Fault):
            self._before(step, call, lambda: method(*args, **kwargs))
        elif step is not None:
            step()
        result = method(*args, **kwargs)
        if isinstance(step, Fault):
            self._after(step, call, result)
        return result

    def _before(self, fault: Fault, call: Call, effect: Callable[[], object]) -> None:
        if fault is Fault.UNAVAILABLE:
            raise BackendUnavailable(f"call {call.number}, {call.method}, failed by script")
        if fault is Fault.THROTTLED:
            raise Throttled(f"call {call.number}, {call.method}, was throttled by script")
        if fault in {Fault.TIMEOUT_BEFORE, Fault.DELAYED_EFFECT}:
            self._plan.advance_clock()
        if fault is Fault.DELAYED_EFFECT:
            self._plan.in_flight.append(effect)
        if fault in {Fault.CRASH_BEFORE, Fault.TIMEOUT_BEFORE, Fault.DELAYED_EFFECT}:
            raise self._crash(call)

    def _after(self, fault: Fault, call: Call, result: object) -> None:
        if fault in {Fault.SLOW, Fault.TIMEOUT_AFTER}:
            self._plan.advance_clock()
        if fault is Fault.SDK_RETRY and call.method in SINGLE_CONDITIONAL_WRITES:
            raise ConcurrentUpdate(result if isinstance(result, ProgressShard) else None)
        if fault is Fault.LOST_RESPONSE:
            raise BackendUnavailable(f"the answer of call {call.number}, {call.method}, was lost by script")
        if fault in {Fault.CRASH_AFTER, Fault.TIMEOUT_AFTER}:
            raise self._crash(call)

    def _crash(self, call: Call) -> ProcessCrashed:
        self._plan.crashed = True
        return ProcessCrashed(f"call {call.number}, {call.method}")


def with_faults(port: P, plan: FaultPlan | None = None, log: CallLog | None = None) -> P:
    """`port` behind a `Faulty`; without a script it only writes down the calls."""
    return cast(P, FaultInjector(port, plan or FaultPlan(), log or CallLog()))
