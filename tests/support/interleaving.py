"""Several actors at once, each in a thread, one call to a backend at a time, in an order that a seed decides.

Whoever is about to make a call waits for its turn, so that between any two calls of one actor any number of the others'
may come; the same seed gives the same schedule.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dev.fakes.faults import Call, FaultPlan, FaultStep


class SequentialExecutor:
    """Takes the place of `ThreadPoolExecutor`: an actor's calls are made one after the other."""

    def __init__(self, workers: int) -> None:
        del workers

    def __enter__(self) -> SequentialExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        return map(function, *arguments)


class SeededScheduler:
    """Who may go on."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._changed = threading.Condition()
        self._waiting: set[str] = set()
        self._running: set[str] = set()
        self._current: str | None = None
        self._errors: list[BaseException] = []
        self.order: list[str] = []

    def wait_for_turn(self, actor: str) -> None:
        """Return when it is this actor's turn."""
        with self._changed:
            self._waiting.add(actor)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._current == actor)
            self._current = None

    def run(self, actors: Mapping[str, Callable[[], object]]) -> None:
        """Let all act until the last is done. Raises what an actor raised."""
        self._running = set(actors)
        threads = [
            threading.Thread(target=self._run_actor, args=(name, act), name=name, daemon=True)
            for name, act in actors.items()
        ]
        for thread in threads:
            thread.start()
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._current is None and self._waiting == self._running)
                if not self._running:
                    break
                self._current = self._random.choice(sorted(self._waiting))
                self._waiting.discard(self._current)
                self.order.append(self._current)
                self._changed.notify_all()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _run_actor(self, actor: str, action: Callable[[], object]) -> None:
        self.wait_for_turn(actor)
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - it is raised where the test is
            self._errors.append(error)
        with self._changed:
            self._running.discard(actor)
            self._changed.notify_all()


@dataclass
class ScheduledFaultPlan(FaultPlan):
    """Before each call its actor waits for its turn."""

    scheduler: SeededScheduler | None = None
    actor: str = ""

    def step(self, call: Call, nth: int) -> FaultStep | None:
        assert self.scheduler is not None
        self.scheduler.wait_for_turn(self.actor)
        return None
