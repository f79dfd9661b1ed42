"""The error that ends a developers' check."""

from __future__ import annotations


class CheckError(Exception):
    """A check failed or could not run. The message says what is wrong and what to do; the command prints it."""
