"""Run SAM CLI (`python -m dev.docker.sam_cli_without_log_wait local start-api …`) without its wait for the log.

After each request SAM CLI waits up to a second for the line that ends the log of a request. It does not recognize that
line when it arrives together with other lines, as after a function that logs, and then the whole second passes. The log
is printed by another thread, so that the response need not wait for it.
"""

from __future__ import annotations

import sys
import threading

from samcli.cli.main import cli
from samcli.local.docker.container import Container

MAX_WAIT_SECONDS = 0.02


class LogEvent(threading.Event):
    """The event that the last line of a request's log has been printed."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(MAX_WAIT_SECONDS if timeout is None else min(timeout, MAX_WAIT_SECONDS))


def shorten_wait() -> None:
    """Have SAM CLI create `LogEvent`s."""
    Container._create_threading_event = staticmethod(LogEvent)  # noqa: SLF001 - SAM CLI made it for its own tests


if __name__ == "__main__":
    shorten_wait()
    sys.exit(cli())
