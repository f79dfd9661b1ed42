"""A round of a race: several function copies at once on real servers, and the history of what each called and was told.

An operation may be held back until another is about to make its n-th call to a backend: round by round n goes through
that one's calls, so that over enough rounds the two meet everywhere.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as changed
from pathlib import Path
from typing import Any, TypeVar, cast

from ferry.engine import Engine
from ferry.errors import FerryError
from tests.fakes.faults import NOT_CALLS
from tests.fakes.objects import Answer

HISTORIES = Path(__file__).parents[2] / "build" / "races"
PATIENCE = 120.0
"""Seconds after which an operation that has not answered counts as silent."""

LONGEST = 400
"""Characters of a call or an answer that a history keeps."""

P = TypeVar("P")


@dataclass
class Operation:
    """What one caller does, on a function copy of its own. `to` tells operations of a kind apart in the history.

    With `held` it begins when the first operation of its round is about to make that many calls.
    """

    to: str
    run: Callable[[Engine], Any]
    held: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a caller was told: a result or one of Ferry's errors."""

    to: str
    result: Any = None
    error: FerryError | None = None

    @property
    def told(self) -> str:
        """The error's code, S3's status, or the kind of result."""
        if self.error:
            return self.error.code
        return str(self.result.status) if isinstance(self.result, Answer) else type(self.result).__name__


@dataclass
class Round:
    """One round: its function copies, and what has happened so far."""

    name: str
    number: int
    copies: Sequence[Engine]
    history: list[dict[str, Any]] = field(default_factory=list)
    told: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def engine(self) -> Engine:
        """A copy for what comes before and after the race."""
        return self.copies[0]

    def note(self, **what: Any) -> None:
        with self.lock:
            self.history.append({"at": time.monotonic(), **what})

    def save(self) -> Path:
        """Write the history to a file."""
        HISTORIES.mkdir(parents=True, exist_ok=True)
        path = HISTORIES / f"{self.name}-{self.number}.json"
        path.write_text(json.dumps(self.history, indent=1, default=repr) + "\n", encoding="utf-8")
        return path

    def at_once(self, *operations: Operation) -> list[Outcome]:
        """Run them all at the same moment, each on its copy, and return what each was told.

        Anything but a result or one of Ferry's errors fails the round, as does no answer at all.
        """
        assert len(operations) <= len(self.copies)
        start = threading.Barrier(len(operations))
        signals = {operation.held: threading.Event() for operation in operations if operation.held}
        outcomes: list[Outcome | None] = [None] * len(operations)
        broken: list[BaseException] = []

        def play(place: int, operation: Operation) -> None:
            engine = self._watched(place, signals if place == 0 else {})
            start.wait(PATIENCE)
            if operation.held:
                signals[operation.held].wait(PATIENCE)
            self.note(caller=place, does=operation.to)
            try:
                outcomes[place] = Outcome(operation.to, result=operation.run(engine))
            except FerryError as error:
                outcomes[place] = Outcome(operation.to, error=error)
            except BaseException as error:  # noqa: BLE001 - raised again, where the test sees it
                broken.append(error)
            finally:
                for signal in signals.values() if place == 0 else ():
                    signal.set()  # it was done before it had made so many calls
            told = outcomes[place]
            self.note(caller=place, told=told.told if told else repr(broken), answer=repr(told))

        threads = [
            threading.Thread(target=play, args=(place, operation), daemon=True)
            for place, operation in enumerate(operations)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        if broken:
            raise broken[0]
        found = [outcome for outcome in outcomes if outcome is not None]
        assert len(found) == len(operations), "somebody was never answered"
        told = Counter(f"{outcome.to}: {outcome.told}" for outcome in found)
        self.told = "; ".join(f"{n} {what}" if n > 1 else what for what, n in sorted(told.items()))
        return found

    def _watched(self, place: int, signals: Mapping[int, threading.Event]) -> Engine:
        """The copy, with every call it makes and its answer written down, and those waiting for one of them let go."""
        copy, calls = self.copies[place], itertools.count(1)

        def watch(port: P) -> P:
            return cast(P, _Watched(port, self, place, calls, signals))

        return changed(copy, ledger=watch(copy.ledger), objects=watch(copy.objects), worker=watch(copy.worker))


class _Watched:
    """Stands before a port, and notes."""

    def __init__(
        self, port: object, played: Round, place: int, calls: Iterator[int], signals: Mapping[int, threading.Event]
    ) -> None:
        self._port, self._round, self._place, self._calls, self._signals = port, played, place, calls, signals

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if name in NOT_CALLS or not callable(found):
            return found

        def call(*args: object, **kwargs: object) -> object:
            number = next(self._calls)
            self._round.note(caller=self._place, call=number, method=name, args=brief(args), kwargs=brief(kwargs))
            if number in self._signals:
                self._signals[number].set()
            answer: object = None
            try:
                answer = found(*args, **kwargs)
            except Exception as error:
                answer = error
                raise
            finally:
                self._round.note(caller=self._place, answer_to=number, answer=brief(answer))
            return answer

        return call


def brief(value: object) -> str:
    """As it is, but for bodies: a history is for reading."""
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
