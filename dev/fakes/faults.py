"""Faults in ports at chosen calls, before or after their effect, and a log of every call.

    log, plan = CallLog(), FaultPlan({3: Fault.LOST_RESPONSE})
    repository = with_faults(MemoryUploadRepository(), plan, log)
    object_store = with_faults(MemoryObjectStore(clock), plan, log)

Calls are numbered from 1 over all ports that share a log. A first run without faults shows how many calls there are.
Methods that make no backend call, such as presigning a URL, are not numbered.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, cast

from ferry.errors import BackendUnavailable, Throttled
from ferry.model.progress import ProgressShard
from ferry.ports.errors import ConcurrentUpdate

P = TypeVar("P")

SINGLE_CONDITIONAL_WRITES = frozenset(
    {
        "change_options",
        "change_sequential",
        "mark_open",
        "record_chunk",
        "record_activity",
        "reschedule_task",
        "schedule_object",
        "unschedule_task",
        "save_orphan_scan",
    }
)
"""Methods that make one conditional write, which is not a transaction: `Fault.SDK_RETRY` applies to them."""

LOCAL_METHODS = frozenset({"cursor_after", "presign_part", "presign_get"})
"""Methods that make no backend call."""


class ProcessCrashed(BaseException):
    """The process crashed. No `except Exception` catches this, so nothing that the process would do next happens."""


class Fault(StrEnum):
    """What happens to a call."""

    UNAVAILABLE = "unavailable"
    """`BackendUnavailable` without the effect."""
    LOST_RESPONSE = "lost response"
    """The effect, then `BackendUnavailable`."""
    SDK_RETRY = "sdk_retry"
    """The effect, then `ConcurrentUpdate`: the SDK repeated a conditional write whose response was lost.

    No fault for methods outside `SINGLE_CONDITIONAL_WRITES`: transactions carry a token, other calls no condition.
    """
    CRASH_BEFORE = "crash before"
    """`ProcessCrashed` without the effect."""
    CRASH_AFTER = "crash after"
    """The effect, then `ProcessCrashed`."""
    THROTTLED = "throttled"
    """`Throttled` without the effect: the adapter's retries were used up."""
    TIMEOUT_BEFORE = "timeout before"
    """The function times out before the effect: `ProcessCrashed`, and the clock is beyond every lease."""
    TIMEOUT_AFTER = "timeout after"
    """The function times out after the effect: `ProcessCrashed`, and the clock is beyond every lease."""
    DELAYED_EFFECT = "delayed_effect"
    """The function times out while the call is in flight. It takes effect at `FaultPlan.apply_in_flight`."""
    SLOW = "slow"
    """The effect, but the clock is then beyond every lease. The process continues."""


FaultStep = Fault | Callable[[], object]
"""A fault, or what another actor does just before the call."""


@dataclass(frozen=True)
class Call:
    """One call of a port."""

    number: int
    """Counts from 1 over the log."""

    port: str
    """The name of the port's class."""

    method: str
    """The name of the method."""

    args: tuple[Any, ...]
    """Positional arguments."""

    kwargs: Mapping[str, Any]
    """Keyword arguments."""


@dataclass
class CallLog:
    """The calls of one or several ports."""

    calls: list[Call] = field(default_factory=list)
    """Every call, in the order in which they began."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while a call is numbered."""

    parent: CallLog | None = None
    """A log that gets every call, too, with a number of its own; None: there is none."""

    def add(self, port: str, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
        if self.parent is not None:
            self.parent.add(port, method, args, kwargs)
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
    """The faults of one process. After a crash, every further call with the same plan raises `ProcessCrashed`."""

    steps: Mapping[int | tuple[str, int], FaultStep] = field(default_factory=dict)
    """What happens to a call, by its number in the log, or by (method, n): the n-th call of the method, from 1."""

    crashed: bool = False
    """Whether the process has crashed."""

    advance_clock: Callable[[], object] = lambda: None
    """Moves the clock beyond every lease and budget of the process."""

    in_flight: list[Callable[[], object]] = field(default_factory=list)
    """Effects of calls with `Fault.DELAYED_EFFECT`."""

    def step(self, call: Call, nth: int) -> FaultStep | None:
        return self.steps.get(call.number, self.steps.get((call.method, nth)))

    def apply_in_flight(self) -> None:
        """Apply the calls that were in flight when their process ended. Those whose condition fails have no effect."""
        for effect in self.in_flight:
            with suppress(Exception):
                effect()
        self.in_flight.clear()


class FaultInjector:
    """Wraps a port and applies a plan to its calls. Use `with_faults`, which keeps the port's type."""

    def __init__(self, port: object, plan: FaultPlan, log: CallLog) -> None:
        self._port = port
        self._plan = plan
        self._log = log
        self._method_counts: dict[str, int] = {}

    def __getattr__(self, name: str) -> object:
        attribute = getattr(self._port, name)
        if name.startswith("_") or name in LOCAL_METHODS or not callable(attribute):
            return attribute

        def call(*args: object, **kwargs: object) -> object:
            return self._call(name, attribute, args, kwargs)

        return call

    def _call(
        self, name: str, method: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> object:
        if self._plan.crashed:
            raise ProcessCrashed(name)
        call = self._log.add(type(self._port).__name__, name, args, kwargs)
        with self._log.lock:
            nth = self._method_counts[name] = self._method_counts.get(name, 0) + 1
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
            raise BackendUnavailable(f"injected: call {call.number}, {call.method}, failed")
        if fault is Fault.THROTTLED:
            raise Throttled(f"injected: call {call.number}, {call.method}, was throttled")
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
            raise BackendUnavailable(f"injected: the response of call {call.number}, {call.method}, was lost")
        if fault in {Fault.CRASH_AFTER, Fault.TIMEOUT_AFTER}:
            raise self._crash(call)

    def _crash(self, call: Call) -> ProcessCrashed:
        self._plan.crashed = True
        return ProcessCrashed(f"call {call.number}, {call.method}")


def with_faults(port: P, plan: FaultPlan | None = None, log: CallLog | None = None) -> P:
    """Return the port with the faults of `plan`. Without a plan, its calls are only logged."""
    return cast(P, FaultInjector(port, plan or FaultPlan(), log or CallLog()))
