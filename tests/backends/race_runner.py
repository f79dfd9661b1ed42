"""Run operations of several function instances at the same time on real servers, and record every call and response.

An operation can start when another is about to make its n-th call to a backend. Each round uses another n, so that
enough rounds make the two meet at every call.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from dev.fakes.faults import LOCAL_METHODS
from dev.fakes.object_store import StoreResponse
from ferry.errors import FerryError
from ferry.services import Services

HISTORY_FOLDER = Path(__file__).parents[2] / "build" / "races"
TIMEOUT_SECONDS = 120.0
"""An operation without a result after this time fails the round."""

MAX_REPR_LENGTH = 400
"""Characters of an argument or a result in the history."""

P = TypeVar("P")


@dataclass
class RaceOperation:
    """What one caller does on its own function instance."""

    name: str
    """Identifies the operation in the history and in the outcomes."""

    run: Callable[[Services], Any]

    start_at_call: int = 0
    """The operation starts when the round's first operation is about to make this call; 0: at the round's start."""


@dataclass(frozen=True)
class RaceOutcome:
    """The result of an operation, or the Ferry error that it raised."""

    name: str
    """The operation's name."""

    result: Any = None
    error: FerryError | None = None

    @property
    def summary(self) -> str:
        """The error's code, S3's status, or the type of the result."""
        if self.error:
            return self.error.code
        return str(self.result.status) if isinstance(self.result, StoreResponse) else type(self.result).__name__


@dataclass
class RaceRound:
    """One round of a race."""

    name: str
    """The test's name."""

    number: int
    """1 for the first round."""

    instances: Sequence[Services]
    """The services of the function instances, one for each operation."""

    history: list[dict[str, Any]] = field(default_factory=list)
    """Every call and its response, in order."""

    summary: str = ""
    """The outcomes of the operations, set by `run_concurrently`."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def services(self) -> Services:
        """The instance that prepares and checks the race."""
        return self.instances[0]

    def record(self, **details: Any) -> None:
        with self.lock:
            self.history.append({"at": time.monotonic(), **details})

    def save_history(self) -> Path:
        """Write the history to a file and return its path."""
        HISTORY_FOLDER.mkdir(parents=True, exist_ok=True)
        path = HISTORY_FOLDER / f"{self.name}-{self.number}.json"
        path.write_text(json.dumps(self.history, indent=1, default=repr) + "\n", encoding="utf-8")
        return path

    def run_concurrently(self, *operations: RaceOperation) -> list[RaceOutcome]:
        """Run the operations at the same time, each on its own instance, and return their outcomes.

        Any error that is not a Ferry error fails the round, and so does an operation without a result.
        """
        assert len(operations) <= len(self.instances)
        start = threading.Barrier(len(operations))
        signals = {operation.start_at_call: threading.Event() for operation in operations if operation.start_at_call}
        outcomes: list[RaceOutcome | None] = [None] * len(operations)
        unexpected: list[BaseException] = []

        def run_operation(caller: int, operation: RaceOperation) -> None:
            services = self._recording_services(caller, signals if caller == 0 else {})
            start.wait(TIMEOUT_SECONDS)
            if operation.start_at_call:
                signals[operation.start_at_call].wait(TIMEOUT_SECONDS)
            self.record(caller=caller, operation=operation.name)
            try:
                outcomes[caller] = RaceOutcome(operation.name, result=operation.run(services))
            except FerryError as error:
                outcomes[caller] = RaceOutcome(operation.name, error=error)
            except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
                unexpected.append(error)
            finally:
                for signal in signals.values() if caller == 0 else ():
                    signal.set()  # the operation ended with fewer calls than others wait for
            outcome = outcomes[caller]
            self.record(caller=caller, outcome=outcome.summary if outcome else repr(unexpected), result=repr(outcome))

        threads = [
            threading.Thread(target=run_operation, args=(caller, operation), daemon=True)
            for caller, operation in enumerate(operations)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_SECONDS)
        if unexpected:
            raise unexpected[0]
        finished = [outcome for outcome in outcomes if outcome is not None]
        assert len(finished) == len(operations), f"an operation has no result after {TIMEOUT_SECONDS:.0f} s"
        counts = Counter(f"{outcome.name}: {outcome.summary}" for outcome in finished)
        self.summary = "; ".join(f"{count} {text}" if count > 1 else text for text, count in sorted(counts.items()))
        return finished

    def _recording_services(self, caller: int, signals: Mapping[int, threading.Event]) -> Services:
        """Return the caller's services with ports that record every call and set the signal of its number."""
        services, calls = self.instances[caller], itertools.count(1)

        def recording(port: P) -> P:
            return cast(P, _RecordingPort(port, self, caller, calls, signals))

        return replace(
            services,
            upload_repository=recording(services.upload_repository),
            sequential_repository=recording(services.sequential_repository),
            file_repository=recording(services.file_repository),
            cleanup_repository=recording(services.cleanup_repository),
            object_store=recording(services.object_store),
            completion_queue=recording(services.completion_queue),
        )


class _RecordingPort:
    """A port that records every call and its result."""

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
        attribute = getattr(self._port, name)
        if name in LOCAL_METHODS or not callable(attribute):
            return attribute

        def call(*args: object, **kwargs: object) -> object:
            number = next(self._calls)
            self._round.record(
                caller=self._caller, call=number, method=name, args=truncated_repr(args), kwargs=truncated_repr(kwargs)
            )
            if number in self._signals:
                self._signals[number].set()
            result: object = None
            try:
                result = attribute(*args, **kwargs)
            except Exception as error:
                result = error
                raise
            finally:
                self._round.record(caller=self._caller, result_of=number, result=truncated_repr(result))
            return result

        return call


def truncated_repr(value: object) -> str:
    """Return the value's representation, cut to `MAX_REPR_LENGTH`."""
    text = repr(value)
    return text if len(text) <= MAX_REPR_LENGTH else f"{text[:MAX_REPR_LENGTH]}… ({len(text)} characters)"
