"""What can keep SAM CLI's local service from running, as one type: the message is for the person who started it."""

from __future__ import annotations


class SamError(Exception):
    """Says what is wrong and what to do about it."""
