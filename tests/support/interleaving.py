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

from tests.fakes.faults import Call, Script, Step


class OneByOne:
    """Takes the place of `ThreadPoolExecutor`: an actor's calls are made one after the other."""

    def __init__(self, workers: int) -> None:
        del workers

    def __enter__(self) -> OneByOne:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def map(self, function: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        return map(function, *arguments)


class Turns:
    """Who may go on."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._changed = threading.Condition()
        self._waiting: set[str] = set()
        self._alive: set[str] = set()
        self._turn: str | None = None
        self._errors: list[BaseException] = []
        self.order: list[str] = []

    def wait(self, name: str) -> None:
        """Return when it is this actor's turn."""
        with self._changed:
            self._waiting.add(name)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._turn == name)
            self._turn = None

    def run(self, actors: Mapping[str, Callable[[], object]]) -> None:
        """Let all act until the last is done. Raises what an actor raised."""
        self._alive = set(actors)
        threads = [
            threading.Thread(target=self._act, args=(name, act), name=name, daemon=True) for name, act in actors.items()
        ]
        for thread in threads:
            thread.start()
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._turn is None and self._waiting == self._alive)
                if not self._alive:
                    break
                self._turn = self._random.choice(sorted(self._waiting))
                self._waiting.discard(self._turn)
                self.order.append(self._turn)
                self._changed.notify_all()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _act(self, name: str, act: Callable[[], object]) -> None:
        self.wait(name)
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - it is raised where the test is
            self._errors.append(error)
        with self._changed:
            self._alive.discard(name)
            self._changed.notify_all()


@dataclass
class Waiting(Script):
    """Before each call its actor waits for its turn."""

    turns: Turns | None = None
    name: str = ""

    def step(self, call: Call, nth: int) -> Step | None:
        assert self.turns is not None
        self.turns.wait(self.name)
        return None
