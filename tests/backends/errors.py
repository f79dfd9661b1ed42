"""The error of a server that cannot start."""

from __future__ import annotations


class BackendMissingError(Exception):
    """A program is missing. The message says which one and how to install it."""
