"""What keeps a server from being started."""

from __future__ import annotations


class BackendMissingError(Exception):
    """Says in one line what is missing and how to install it."""
