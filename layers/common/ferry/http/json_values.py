"""Response bodies as JSON values: how the frozen dataclasses of `ferry.http.responses` are serialized and described.

Member names are field names, or `json_name` in the field's metadata. A field that is None is `null`, unless the field
is declared with `OMIT_NONE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from ferry.rules.timestamps import format_rfc3339

OMIT_NONE: Mapping[str, Any] = {"omit_none": True}
"""Metadata of a dataclass field: the member is absent where the value is None."""


class Timestamp(int):
    """A time in epoch milliseconds. Its JSON value is RFC 3339 text in UTC."""

    __slots__ = ()


class Crc32c(int):
    """A CRC32C. Its JSON value is the base64 of four bytes, big-endian."""

    __slots__ = ()


class JsonSchema:
    """An annotation with JSON Schema keywords: `Annotated[int, JsonSchema(minimum=0)]`.

    Keywords with a `type` replace the schema that the Python type has, others extend it. Pydantic calls the two hooks
    when the OpenAPI document is generated; a function never does.
    """

    __slots__ = ("keywords",)

    def __init__(self, **keywords: Any) -> None:
        self.keywords = keywords

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return {"type": "any"} if "type" in self.keywords else handler(source)

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Any) -> Any:
        return self.keywords if "type" in self.keywords else {**handler(core_schema), **self.keywords}


def to_json(value: Any) -> Any:
    """Return `value` as `json.dumps` takes it.

    Only sequences of dataclasses are converted item by item: a status may have 100,000 ranges, which are pairs of
    integers already.
    """
    if isinstance(value, Timestamp):
        return format_rfc3339(value)
    if isinstance(value, Crc32c):
        # Imported here: the auth function returns no checksum, and does without the library that computes them.
        from ferry.rules.digests import crc32c_to_base64

        return crc32c_to_base64(value)
    if is_dataclass(value):
        return {
            field.metadata.get("json_name", field.name): to_json(member)
            for field in fields(value)
            if (member := getattr(value, field.name)) is not None or "omit_none" not in field.metadata
        }
    if isinstance(value, list | tuple) and value and is_dataclass(value[0]):
        return [to_json(item) for item in value]
    return value
