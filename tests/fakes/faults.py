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
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar, cast

from ferry.errors import BackendUnavailable
from ferry.model import Progress
from ferry.ports import Moved

P = TypeVar("P")

SINGLE_CONDITIONAL_WRITES = frozenset({"opened", "record", "touch", "reschedule", "keep", "acquit", "save_search"})
NOT_CALLS = frozenset({"presign_part", "presign_get"})


class Crashed(BaseException):
    """The process is gone: nothing it might still have done happens. No `except Exception` may catch it."""


class Fault(StrEnum):
    """What happens to a call."""

    UNAVAILABLE = "unavailable"
    """`BackendUnavailable`, and no effect."""
    LOST_ANSWER = "lost answer"
    """The effect, and then `BackendUnavailable`."""
    REPEATED = "repeated"
    """The effect, and then `Moved`: the SDK repeated a conditional write whose answer was lost. Transactions carry a
    token and cannot meet this; nor can a call without a condition. To both it does nothing.
    """
    CRASH_BEFORE = "crash before"
    """`Crashed`, and no effect."""
    CRASH_AFTER = "crash after"
    """The effect, and then `Crashed`."""


Step = Fault | Callable[[], object]
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
class Log:
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
class Script:
    """Which calls fail: by their number in the log, or as (method, n) for the n-th call of that name, from 1.

    Once it has crashed, every later call of the same process raises `Crashed` too: what runs after a crash is another
    process, with another script.
    """

    steps: Mapping[int | tuple[str, int], Step] = field(default_factory=dict)
    crashed: bool = False

    def step(self, call: Call, nth: int) -> Step | None:
        return self.steps.get(call.number, self.steps.get((call.method, nth)))


class Faulty:
    """Stands before a port and obeys a script. Use `faulty`, which keeps the port's type."""

    def __init__(self, port: object, script: Script, log: Log) -> None:
        self._port = port
        self._script = script
        self._log = log
        self._seen: dict[str, int] = {}

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if name.startswith("_") or name in NOT_CALLS or not callable(found):
            return found

        def call(*args: object, **kwargs: object) -> object:
            return self._call(name, found, args, kwargs)

        return call

    def _call(
        self, name: str, method: Callable[..., object], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> object:
        if self._script.crashed:
            raise Crashed(name)
        call = self._log.add(type(self._port).__name__, name, args, kwargs)
        with self._log.lock:
            nth = self._seen[name] = self._seen.get(name, 0) + 1
        step = self._script.step(call, nth)
        if step is Fault.UNAVAILABLE:
            raise BackendUnavailable(f"call {call.number}, {name}, failed by script")
        if step is Fault.CRASH_BEFORE:
            raise self._crash(call)
        if step is not None and not isinstance(step, Fault):
            step()
        result = method(*args, **kwargs)
        if step is Fault.REPEATED and name in SINGLE_CONDITIONAL_WRITES:
            raise Moved(result if isinstance(result, Progress) else None)
        if step is Fault.LOST_ANSWER:
            raise BackendUnavailable(f"the answer of call {call.number}, {name}, was lost by script")
        if step is Fault.CRASH_AFTER:
            raise self._crash(call)
        return result

    def _crash(self, call: Call) -> Crashed:
        self._script.crashed = True
        return Crashed(f"call {call.number}, {call.method}")


def faulty(port: P, script: Script | None = None, log: Log | None = None) -> P:
    """`port` behind a `Faulty`; without a script it only writes down the calls."""
    return cast(P, Faulty(port, script or Script(), log or Log()))
