"""Run a server in a thread, so that servers install and start while others do, or while tests run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

START_TIMEOUT_SECONDS = 600.0
"""Seconds for a server's download, installation and start."""


class BackgroundServer:
    """A server that starts in a thread of its own, and runs until `__exit__`.

    Linux ends the server with the thread that has started it, so the thread stays as long as the server.

    Args:
        start_server: runs the server while its context lasts, and yields its URL.
        folder: the folder of its files.
    """

    def __init__(self, start_server: Callable[[Path], AbstractContextManager[str]], folder: Path) -> None:
        self._start_server, self._folder = start_server, folder
        self._decided, self._is_over = threading.Event(), threading.Event()
        self._url = ""
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> BackgroundServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def wait_until_ready(self) -> str:
        """Return the URL once the server listens. Raises the error with which it did not start."""
        if not self._decided.wait(START_TIMEOUT_SECONDS):
            raise TimeoutError(f"a server did not start in {START_TIMEOUT_SECONDS:.0f} s")
        if self._error is not None:
            raise self._error
        return self._url

    def _run(self) -> None:
        try:
            with self._start_server(self._folder) as self._url:
                self._decided.set()
                self._is_over.wait()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            self._error = error
        finally:
            self._decided.set()
