"""Callbacks of transfers, and which clients' callbacks a thread runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ferry_client.errors import UsageError
from ferry_client.models import TransferProgress


def ignore(*values: object) -> None:
    """Do nothing: the callback of a caller that wants none."""
    del values


_running = threading.local()
"""`clients` is the tuple of the clients whose callbacks this thread runs, the outermost first."""


def progress_callback(
    client: object, name: str, callback: Callable[[TransferProgress], None] | None
) -> Callable[[int, int], None]:
    """Return a function that calls a caller's `on_progress` with the done and all bytes of a file.

    Args:
        client: whose transfer it is.
        name: the file.
        callback: the caller's function; None for none.
    """
    if callback is None:
        return ignore

    def report(done_bytes: int, total_bytes: int) -> None:
        with _running_callback_of(client):
            callback(TransferProgress(name, done_bytes, total_bytes))

    return report


def note_callback(client: object, callback: Callable[[str], None] | None) -> Callable[[str], None]:
    """Return a function that calls a caller's `on_note`; None: that does nothing."""
    if callback is None:
        return ignore

    def note(text: str) -> None:
        with _running_callback_of(client):
            callback(text)

    return note


def raise_if_in_callback(client: object) -> None:
    """Raise `UsageError` if this thread runs a callback of the client, whose transfers wait for the callback's end."""
    if any(running is client for running in getattr(_running, "clients", ())):
        raise UsageError(
            "A callback has started a transfer of the Ferry that calls it. Both would wait for each other: start it "
            "after the first one has ended, or with another Ferry."
        )


@contextmanager
def _running_callback_of(client: object) -> Iterator[None]:
    previous = getattr(_running, "clients", ())
    _running.clients = (*previous, client)
    try:
        yield
    finally:
        _running.clients = previous
