"""The error that ends a benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """A benchmark cannot run. The message says what is missing or what failed."""
