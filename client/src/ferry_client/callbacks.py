"""Callbacks of transfers."""

from __future__ import annotations


def ignore(*values: object) -> None:
    """Do nothing: the callback of a caller that wants none."""
    del values
