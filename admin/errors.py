"""Errors that the operator reads."""

from __future__ import annotations


class AdminError(Exception):
    """The command was rejected, or what it names does not exist. Nothing was changed.

    Args:
        message: what is wrong.
        hint: what to do next.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(AdminError):
    """The command line is wrong or incomplete. Nothing was changed."""
