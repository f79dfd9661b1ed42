"""Run tasks in threads that never keep the process alive."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from time import monotonic
from typing import Generic, TypeVar

from ferry_client.cancellation import (
    POLL_SECONDS,
    CancelToken,
    current_token,
    new_thread,
    raise_if_cancelled,
    running_under,
)
from ferry_client.errors import CancelledError, FerryError

Task = TypeVar("Task")
Result = TypeVar("Result")

_MAX_END_SECONDS = 5.0
"""How long a caller that stops early waits for its threads. One that opens a connection may take longer: it ends after
that, without a further effect."""


class _Ended:
    """A thread has ended."""


class _Failure:
    """The exception of a task. Its thread has ended."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        """The exception."""


class _Run(Generic[Task, Result]):
    """One call of `run_tasks`."""

    def __init__(self, tasks: Iterable[Task], work: Callable[[Task], Result]) -> None:
        self._tasks = iter(tasks)
        self._work = work
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._token = CancelToken(current_token())
        self.results: queue.SimpleQueue[Result | _Failure | _Ended] = queue.SimpleQueue()
        """Results of tasks, and the end of each thread."""

    def stop(self) -> None:
        """Begin no further task."""
        self._stopped.set()

    def cancel(self) -> None:
        """End the running tasks, too."""
        self.stop()
        self._token.cancel()

    def run(self) -> None:
        """Take tasks until there are none, or one fails."""
        try:
            with running_under(self._token):
                while (task := self._next()) is not None:
                    self.results.put(self._work(task[0]))
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            self.stop()
            if isinstance(error, CancelledError) or not isinstance(error, FerryError):
                self.cancel()  # The caller wants an end: what callbacks raise comes here, too.
            self.results.put(_Failure(error))
        else:
            self.results.put(_Ended())

    def _next(self) -> tuple[Task] | None:
        with self._lock:
            if self._stopped.is_set():
                return None
            for task in self._tasks:
                return (task,)
            return None


def run_tasks(
    tasks: Iterable[Task],
    work: Callable[[Task], Result],
    threads: int,
    *,
    max_end_seconds: float = _MAX_END_SECONDS,
) -> Iterator[Result]:
    """Yield the result of each task as it ends, in any order.

    The first exception of a task is raised once the running tasks have ended; no further task begins. Where the caller
    stops early, as by Ctrl-C, the running tasks are cancelled, and their threads end before this function does: the
    caller may close the files that they write to.

    Args:
        tasks: the tasks, taken one at a time.
        work: does one task.
        threads: how many tasks run at once.
        max_end_seconds: how long a caller that stops early waits for the threads.
    """
    if isinstance(tasks, Sized):
        threads = max(1, min(threads, len(tasks)))
    run = _Run(tasks, work)
    workers = [new_thread(run.run, "ferry-transfer") for _ in range(threads)]
    for worker in workers:
        worker.start()
    running, failure = len(workers), None
    try:
        while running:
            try:
                item = run.results.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, _Ended):
                running -= 1
            elif isinstance(item, _Failure):
                running -= 1
                failure = failure or item
            else:
                yield item
    finally:
        run.stop()
        if running:
            run.cancel()
        _wait_for(workers, max_end_seconds)
    if failure is not None:
        raise failure.error


def _wait_for(threads: Iterable[threading.Thread], max_seconds: float) -> None:
    """Wait until threads have ended, at most `max_seconds`."""
    deadline = monotonic() + max_seconds
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - monotonic()))


class TransferLimit:
    """How many requests of a client transfer bytes at once."""

    def __init__(self, count: int) -> None:
        self._condition = threading.Condition()
        self.limit = count
        """Transfers at once; `set_limit` changes it."""
        self._used = 0

    def set_limit(self, count: int) -> None:
        """Change the limit; running transfers continue."""
        with self._condition:
            self.limit = count
            self._condition.notify_all()

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Count a transfer, waiting until there are fewer than the limit. Raises `CancelledError`."""
        with self._condition:
            while not self._condition.wait_for(lambda: self._used < self.limit, POLL_SECONDS):
                raise_if_cancelled()
            self._used += 1
        try:
            yield
        finally:
            with self._condition:
                self._used -= 1
                self._condition.notify()
