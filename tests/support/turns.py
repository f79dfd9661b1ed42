"""Operations that run at once, call by call, in an order that is given: the same order is the same run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

from tests.fakes.faults import Call, Script, Step

STUCK = 60
"""Seconds after which a player that neither calls nor ends is given up."""


class Player(Script):
    """One operation in a thread of its own, which stands still before each call until it is its turn."""

    def __init__(self, operation: Callable[[Script], object], steps: Mapping[int | tuple[str, int], Step]) -> None:
        super().__init__(steps)
        self.done = False
        self.error: BaseException | None = None
        self._operation = operation
        self._turn, self._back = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._play, daemon=True).start()

    def step(self, call: Call, nth: int) -> Step | None:
        """Before each call: let the others go on."""
        self._back.release()
        self._turn.acquire()
        return super().step(call, nth)

    def move(self) -> None:
        """Make the call that it stands before, and all up to the next one."""
        self._turn.release()
        assert self._back.acquire(timeout=STUCK), "it neither calls nor ends"

    def _play(self) -> None:
        self._turn.acquire()
        try:
            self._operation(self)
        except BaseException as error:  # noqa: BLE001 - raised again where the others are waited for
            self.error = error
        finally:
            self.done = True
            self._back.release()


class Sequential:
    """Takes the place of a `ThreadPoolExecutor`: one after another is an order too, and always the same."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> Sequential:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, work: Callable[..., Any], *items: Any) -> Iterator[Any]:
        return map(work, *items)


def interleave(
    operations: Sequence[Callable[[Script], object]],
    order: Iterator[int],
    faults: Mapping[int | tuple[str, int], Step] | None = None,
) -> None:
    """Run the operations at once; `order` says who makes the next call. The `faults` are the first one's."""
    with mock.patch("ferry.uploads.assembly.ThreadPoolExecutor", Sequential):
        players = [Player(operation, (faults or {}) if not n else {}) for n, operation in enumerate(operations)]
        while waiting := [player for player in players if not player.done]:
            waiting[next(order) % len(waiting)].move()
    for player in players:
        if player.error is not None:
            raise player.error
