"""The one error of the local service. Its message is for the person at the terminal."""

from __future__ import annotations


class LocalError(Exception):
    """The service cannot run. The message says in one line what is wrong and what to do about it."""
