"""Stop what runs: transfers end soon after their `CancelToken` was cancelled, from any thread.

A client has one token. Each call has a child of it, and each group of threads has a child of its call's. A thread
checks the token that it runs under with `raise_if_cancelled`. A connection that waits for the network is shut down.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Protocol

from ferry_client.errors import CancelledError

STOPPED = "The transfer was stopped."
"""The text of `CancelledError`."""

POLL_SECONDS = 0.2
"""How often a waiting thread checks its token and Ctrl-C; on Windows a wait without end cannot be interrupted."""


class Abortable(Protocol):
    """A connection."""

    token: CancelToken | None
    """What the connection is used for now; None before its first use."""

    def abort(self) -> None:
        """End what the connection does, from another thread."""
        ...


class CancelToken:
    """Stops transfers, from any thread. Thread-safe.

    A transfer that is stopped raises `CancelledError`; the same call with another token continues it. One token may
    stop several transfers. A token that was cancelled stays so.

    Example:
        cancel = CancelToken()
        threading.Timer(60, cancel.cancel).start()
        ferry.download("videos/video.mp4", "copy.mp4", cancel=cancel)
    """

    def __init__(self, *parents: CancelToken | None) -> None:
        """Make a token, which is cancelled with any of its parents.

        Args:
            parents: other tokens; None is left out.
        """
        self._event = threading.Event()
        self._lock = threading.RLock()
        self._children: weakref.WeakSet[CancelToken] = weakref.WeakSet()
        self._connections: weakref.WeakSet[Abortable] = weakref.WeakSet()
        for token in parents:
            if token is not None:
                token._add(self)  # noqa: SLF001 - of this class

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Stop the transfers. Returns at once; they end within about a second, a new connection within its time-out."""
        with self._lock:
            self._event.set()
            children, connections = list(self._children), list(self._connections)
        for connection in connections:
            if connection.token is self:
                connection.abort()
        for token in children:
            token.cancel()

    def wait(self, seconds: float) -> None:
        """Wait. Raises `CancelledError` if the token is cancelled meanwhile."""
        if self._event.wait(seconds):
            raise CancelledError(STOPPED)

    def raise_if_cancelled(self) -> None:
        """Raise `CancelledError` if the token was cancelled."""
        if self._event.is_set():
            raise CancelledError(STOPPED)

    def attach(self, connection: Abortable) -> None:
        """Abort a connection with this token. Raises `CancelledError` if the token was cancelled."""
        connection.token = self
        with self._lock:
            self._connections.add(connection)
        self.raise_if_cancelled()

    def _add(self, token: CancelToken) -> None:
        with self._lock:
            self._children.add(token)
        if self.is_cancelled:
            token.cancel()


_current: ContextVar[CancelToken | None] = ContextVar("ferry_client.token", default=None)


def current_token() -> CancelToken | None:
    """Return the token that this thread runs under; None if there is none."""
    return _current.get()


def raise_if_cancelled() -> None:
    """Raise `CancelledError` if what this thread does was stopped."""
    token = _current.get()
    if token is not None:
        token.raise_if_cancelled()


@contextmanager
def running_under(token: CancelToken) -> Iterator[None]:
    """Let the token stop what the block does, and the threads that it starts."""
    previous = _current.set(token)
    try:
        yield
    finally:
        _current.reset(previous)


def new_thread(target: Callable[[], object], name: str) -> threading.Thread:
    """Return a thread that runs under this thread's token, and never keeps the process alive."""
    return threading.Thread(target=copy_context().run, args=(target,), daemon=True, name=name)
