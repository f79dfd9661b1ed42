"""Operations that run at once, call by call, in an order that is given: the same order is the same run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

from dev.fakes.faults import Call, FaultPlan, FaultStep

STEP_TIMEOUT_SECONDS = 60
"""Seconds after which a player that neither calls nor ends is given up."""


class ScheduledOperation(FaultPlan):
    """One operation in a thread of its own, which stands still before each call until it is its turn."""

    def __init__(
        self, operation: Callable[[FaultPlan], object], steps: Mapping[int | tuple[str, int], FaultStep]
    ) -> None:
        super().__init__(steps)
        self.done = False
        self.error: BaseException | None = None
        self._operation = operation
        self._resume, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        threading.Thread(target=self._run, daemon=True).start()

    def step(self, call: Call, nth: int) -> FaultStep | None:
        """Before each call: let the others go on."""
        self._paused.release()
        self._resume.acquire()
        return super().step(call, nth)

    def advance(self) -> None:
        """Make the call that it stands before, and all up to the next one."""
        self._resume.release()
        assert self._paused.acquire(timeout=STEP_TIMEOUT_SECONDS), "it neither calls nor ends"

    def _run(self) -> None:
        self._resume.acquire()
        try:
            self._operation(self)
        except BaseException as error:  # noqa: BLE001 - raised again where the others are waited for
            self.error = error
        finally:
            self.done = True
            self._paused.release()


class SequentialExecutor:
    """Takes the place of a `ThreadPoolExecutor`: one after another is an order too, and always the same."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> SequentialExecutor:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, work: Callable[..., Any], *items: Any) -> Iterator[Any]:
        return map(work, *items)


def run_interleaved(
    operations: Sequence[Callable[[FaultPlan], object]],
    order: Iterator[int],
    faults: Mapping[int | tuple[str, int], FaultStep] | None = None,
) -> None:
    """Run the operations at once; `order` says who makes the next call. The `faults` are the first one's."""
    with mock.patch("ferry.uploads.assembly.ThreadPoolExecutor", SequentialExecutor):
        players = [
            ScheduledOperation(operation, (faults or {}) if not n else {}) for n, operation in enumerate(operations)
        ]
        while waiting := [player for player in players if not player.done]:
            waiting[next(order) % len(waiting)].advance()
    for player in players:
        if player.error is not None:
            raise player.error
