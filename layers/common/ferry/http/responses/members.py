"""Member types that several response bodies share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from ferry.http.json_values import Crc32c, JsonSchema, Timestamp
from ferry.rules.layout import Range

Count = Annotated[int, JsonSchema(minimum=0)]
"""A number of things, or of bytes or seconds: the member's description says which."""

Ordinal = Annotated[int, JsonSchema(minimum=1)]
"""A chunk index or a part number; both count from 1."""

Time = Annotated[Timestamp, JsonSchema(type="string", format="date-time")]
Crc32cValue = Annotated[Crc32c, JsonSchema(type="string", contentEncoding="base64")]
Url = Annotated[str, JsonSchema(format="uri")]

_RANGE_ITEMS = {"type": "array", "items": {"type": "integer", "minimum": 1}, "minItems": 2, "maxItems": 2}
Ranges = Annotated[Sequence[Range], JsonSchema(type="array", items=_RANGE_ITEMS)]
"""Inclusive ranges that count from 1, ascending."""
