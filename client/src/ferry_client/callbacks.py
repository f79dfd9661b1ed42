"""Callbacks of transfers."""

from __future__ import annotations

from collections.abc import Callable

from ferry_client.models import TransferProgress


def ignore(*values: object) -> None:
    """Do nothing: the callback of a caller that wants none."""
    del values


def progress_callback(name: str, callback: Callable[[TransferProgress], None] | None) -> Callable[[int, int], None]:
    """Return a function that calls a caller's callback with the done and all bytes of a file; None: with nothing."""
    if callback is None:
        return ignore
    return lambda done, total: callback(TransferProgress(name, done, total))
