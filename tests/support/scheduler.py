"""Run several actors at once, one backend call at a time, in an order that the test controls.

Each actor has a thread of its own, and stands still before each of its calls until the scheduler picks it. So between
any two calls of one actor, any number of the others' calls may happen. The same choices give the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

from dev.fakes.faults import Call, FaultPlan, FaultStep

STEP_TIMEOUT_SECONDS = 60
"""When an actor that neither makes a call nor ends fails the test."""


class SequentialExecutor:
    """Stands in for `ThreadPoolExecutor`: calls of one actor run one after another, always in the same order."""

    def __init__(self, max_workers: int) -> None:
        del max_workers

    def __enter__(self) -> SequentialExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        return map(function, *arguments)


class Scheduler:
    """Let one actor at a time go on, up to its next call.

    Args:
        choose: picks the next actor from the names of those that have not ended, in the order of `run`.
    """

    def __init__(self, choose: Callable[[Sequence[str]], str]) -> None:
        self._choose = choose
        # Binary semaphores: a locked lock is one that its owner waits for.
        self._turns: dict[str, threading.Lock] = {}
        self._paused = _locked()
        self._running: list[str] = []
        self._errors: dict[str, BaseException] = {}
        self.order: list[str] = []
        """The actors in the order in which they were picked."""

    def plan(self, actor: str, steps: Mapping[int | tuple[str, int], FaultStep] | None = None) -> FaultPlan:
        """Return a fault plan whose calls wait for the actor's turn."""
        return _ScheduledFaultPlan(steps or {}, scheduler=self, actor=actor)

    def wait_for_turn(self, actor: str) -> None:
        """Let the others go on. Return when the actor is picked again."""
        self._paused.release()
        self._turns[actor].acquire()

    def run(self, actors: Mapping[str, Callable[[], object]]) -> None:
        """Run all actors to their end. Raise what the first of them raised."""
        self._turns = {actor: _locked() for actor in actors}
        self._running = list(actors)
        for actor, action in actors.items():
            threading.Thread(target=self._run_actor, args=(actor, action), name=actor, daemon=True).start()
        with mock.patch("ferry.uploads.assembly.ThreadPoolExecutor", SequentialExecutor):
            while self._running:
                actor = self._choose(self._running)
                self.order.append(actor)
                self._turns[actor].release()
                assert self._paused.acquire(timeout=STEP_TIMEOUT_SECONDS), f"{actor} neither makes a call nor ends"
        for actor in actors:
            if actor in self._errors:
                raise self._errors[actor]

    def _run_actor(self, actor: str, action: Callable[[], object]) -> None:
        self._turns[actor].acquire()
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - `run` raises it in the thread of the test
            self._errors[actor] = error
        self._running.remove(actor)
        self._paused.release()


@dataclass
class _ScheduledFaultPlan(FaultPlan):
    """Waits for its actor's turn before each call."""

    scheduler: Scheduler | None = None
    actor: str = ""

    def step(self, call: Call, nth: int) -> FaultStep | None:
        assert self.scheduler is not None
        self.scheduler.wait_for_turn(self.actor)
        return super().step(call, nth)


def run_interleaved(
    operations: Sequence[Callable[[FaultPlan], object]],
    order: Iterator[int],
    faults: Mapping[int | tuple[str, int], FaultStep] | None = None,
) -> None:
    """Run operations at once, each with the fault plan it is given.

    Args:
        operations: what to run.
        order: which of the operations that have not ended makes the next call, modulo their number.
        faults: what the first operation meets.
    """
    scheduler = Scheduler(lambda running: running[next(order) % len(running)])
    scheduler.run(
        {
            f"{number}": partial(operation, scheduler.plan(f"{number}", None if number else faults))
            for number, operation in enumerate(operations)
        }
    )


def _locked() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock
