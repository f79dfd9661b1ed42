"""What can keep the local service from starting, as one type: the message is a line for the person who started it."""

from __future__ import annotations


class LocalError(Exception):
    """Says in one line what is wrong and what to do about it."""
