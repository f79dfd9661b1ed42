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

from dev.fakes.faults import LOCAL_METHODS
from dev.fakes.object_store import StoreResponse
from ferry.errors import FerryError
from ferry.services import Services

HISTORY_FOLDER = Path(__file__).parents[2] / "build" / "races"
TIMEOUT_SECONDS = 120.0
"""Seconds after which an operation that has not answered counts as silent."""

MAX_REPR_LENGTH = 400
"""Characters of a call or an answer that a history keeps."""

P = TypeVar("P")


@dataclass
class RaceOperation:
    """What one caller does, on a function copy of its own. `to` tells operations of a kind apart in the history.

    With `held` it begins when the first operation of its round is about to make that many calls.
    """

    name: str
    run: Callable[[Services], Any]
    start_at_call: int = 0


@dataclass(frozen=True)
class RaceOutcome:
    """What a caller was told: a result or one of Ferry's errors."""

    name: str
    result: Any = None
    error: FerryError | None = None

    @property
    def summary(self) -> str:
        """The error's code, S3's status, or the kind of result."""
        if self.error:
            return self.error.code
        return str(self.result.status) if isinstance(self.result, StoreResponse) else type(self.result).__name__


@dataclass
class RaceRound:
    """One round: its function copies, and what has happened so far."""

    name: str
    number: int
    instances: Sequence[Services]
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def services(self) -> Services:
        """A copy for what comes before and after the race."""
        return self.instances[0]

    def record(self, **details: Any) -> None:
        with self.lock:
            self.history.append({"at": time.monotonic(), **details})

    def save_history(self) -> Path:
        """Write the history to a file."""
        HISTORY_FOLDER.mkdir(parents=True, exist_ok=True)
        path = HISTORY_FOLDER / f"{self.name}-{self.number}.json"
        path.write_text(json.dumps(self.history, indent=1, default=repr) + "\n", encoding="utf-8")
        return path

    def run_concurrently(self, *operations: RaceOperation) -> list[RaceOutcome]:
        """Run them all at the same moment, each on its copy, and return what each was told.

        Anything but a result or one of Ferry's errors fails the round, as does no answer at all.
        """
        assert len(operations) <= len(self.instances)
        start = threading.Barrier(len(operations))
        signals = {operation.start_at_call: threading.Event() for operation in operations if operation.start_at_call}
        outcomes: list[RaceOutcome | None] = [None] * len(operations)
        broken: list[BaseException] = []

        def play(place: int, operation: RaceOperation) -> None:
            engine = self._recording_services(place, signals if place == 0 else {})
            start.wait(TIMEOUT_SECONDS)
            if operation.start_at_call:
                signals[operation.start_at_call].wait(TIMEOUT_SECONDS)
            self.record(caller=place, does=operation.name)
            try:
                outcomes[place] = RaceOutcome(operation.name, result=operation.run(engine))
            except FerryError as error:
                outcomes[place] = RaceOutcome(operation.name, error=error)
            except BaseException as error:  # noqa: BLE001 - raised again, where the test sees it
                broken.append(error)
            finally:
                for signal in signals.values() if place == 0 else ():
                    signal.set()  # it was done before it had made so many calls
            told = outcomes[place]
            self.record(caller=place, told=told.summary if told else repr(broken), answer=repr(told))

        threads = [
            threading.Thread(target=play, args=(place, operation), daemon=True)
            for place, operation in enumerate(operations)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_SECONDS)
        if broken:
            raise broken[0]
        found = [outcome for outcome in outcomes if outcome is not None]
        assert len(found) == len(operations), "somebody was never answered"
        told = Counter(f"{outcome.name}: {outcome.summary}" for outcome in found)
        self.summary = "; ".join(f"{n} {what}" if n > 1 else what for what, n in sorted(told.items()))
        return found

    def _recording_services(self, caller: int, signals: Mapping[int, threading.Event]) -> Services:
        """The copy, with every call it makes and its answer written down, and those waiting for one of them let go."""
        copy, calls = self.instances[caller], itertools.count(1)

        def watch(port: P) -> P:
            return cast(P, _RecordingPort(port, self, caller, calls, signals))

        return changed(
            copy,
            upload_repository=watch(copy.upload_repository),
            cleanup_repository=watch(copy.cleanup_repository),
            object_store=watch(copy.object_store),
            completion_queue=watch(copy.completion_queue),
        )


class _RecordingPort:
    """Stands before a port, and notes."""

    def __init__(
        self,
        port: object,
        race_round: RaceRound,
        caller: int,
        calls: Iterator[int],
        signals: Mapping[int, threading.Event],
    ) -> None:
        self._port, self._round, self._caller, self._calls, self._signals = port, race_round, caller, calls, signals

    def __getattr__(self, name: str) -> object:
        found = getattr(self._port, name)
        if name in LOCAL_METHODS or not callable(found):
            return found

        def call(*args: object, **kwargs: object) -> object:
            number = next(self._calls)
            self._round.record(
                caller=self._caller, call=number, method=name, args=truncated_repr(args), kwargs=truncated_repr(kwargs)
            )
            if number in self._signals:
                self._signals[number].set()
            answer: object = None
            try:
                answer = found(*args, **kwargs)
            except Exception as error:
                answer = error
                raise
            finally:
                self._round.record(caller=self._caller, answer_to=number, answer=truncated_repr(answer))
            return answer

        return call


def truncated_repr(value: object) -> str:
    """As it is, but for bodies: a history is for reading."""
    text = repr(value)
    return text if len(text) <= MAX_REPR_LENGTH else f"{text[:MAX_REPR_LENGTH]}… ({len(text)} characters)"
