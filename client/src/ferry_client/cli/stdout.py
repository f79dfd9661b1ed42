"""Standard output as the target of bytes."""

from __future__ import annotations

import select
import sys

_WAIT_SECONDS = 1.0
"""How long to wait for a reader before another attempt."""


def write_output(data: bytes) -> None:
    """Write all bytes to standard output. Raises `OSError`.

    An unbuffered stream (PYTHONUNBUFFERED) may take a part of them, one that another program made non-blocking none.
    """
    view = memoryview(data)
    while view:
        try:
            written = sys.stdout.buffer.write(view)
        except BlockingIOError as error:
            written = error.characters_written
        if not written:
            _wait()
        view = view[written or 0 :]


def flush_output() -> None:
    """Write what is buffered. Raises `OSError`."""
    while True:
        try:
            sys.stdout.buffer.flush()
        except BlockingIOError:
            _wait()
        else:
            return


def _wait() -> None:
    select.select([], [sys.stdout.buffer], [], _WAIT_SECONDS)
