"""The one error of everything that runs SAM CLI or Docker. Its message is for the person at the terminal."""

from __future__ import annotations


class SamError(Exception):
    """Something cannot run or went wrong. The message says what, and what to do about it."""
