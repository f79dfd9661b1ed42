"""Sizes of rows as DynamoDB counts them, for its limits and its capacity units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def value_bytes(value: Any) -> int:
    """Return the bytes of a value ("DynamoDB item sizes and formats" in the developer guide)."""
    if value is None or isinstance(value, bool):
        return 1
    if isinstance(value, int):
        return (len(str(abs(value))) + 1) // 2 + 1
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, frozenset | set):
        return sum(value_bytes(item) for item in value)
    if isinstance(value, Mapping):
        return 3 + sum(1 + value_bytes(name) + value_bytes(item) for name, item in value.items())
    if isinstance(value, Sequence):
        return 3 + sum(1 + value_bytes(item) for item in value)
    raise TypeError(f"rows hold no {type(value).__name__}")


def row_bytes(row: Mapping[str, Any]) -> int:
    """Return the bytes of a row, attribute names included."""
    return sum(value_bytes(name) + value_bytes(value) for name, value in row.items() if value is not None)
