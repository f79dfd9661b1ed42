"""Keep the queries of URLs out of urllib3's log: those of presigned URLs are secrets.

At the level DEBUG urllib3 logs the path and query of each request. A program that logs everything, as many do in a
Lambda, would keep what reads or writes a file for 15 minutes, without a login.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = ("urllib3.connectionpool", "urllib3.poolmanager", "urllib3.util.retry", "urllib3.connection")
"""Loggers that may log URLs."""

_own = threading.local()
"""`requests` is how many requests of this client the thread sends at the moment."""


class _QueryFilter(logging.Filter):
    """Removes queries from records of this client's requests. It drops no record, and changes no other's."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True: every record is kept."""
        if getattr(_own, "requests", 0) and isinstance(record.args, tuple):
            record.args = tuple(_without_query(argument) for argument in record.args)
        return True


_FILTER = _QueryFilter()
"""The filter of all loggers."""


@contextmanager
def hidden_queries() -> Iterator[None]:
    """Hide queries in what urllib3 logs in this thread."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)  # Adding it again does nothing.
    _own.requests = getattr(_own, "requests", 0) + 1
    try:
        yield
    finally:
        _own.requests -= 1


def _without_query(argument: object) -> object:
    if not isinstance(argument, str) or "?" not in argument:
        return argument
    return argument.partition("?")[0] + "?…"
