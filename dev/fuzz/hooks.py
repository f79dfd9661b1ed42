"""Hooks for Schemathesis: replace generated values by existing names and ids, so that requests get past validation.

The choice depends on the generated values alone, so that a seed leads to the same requests.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import schemathesis

from dev.paths import ROOT

EXISTING: dict[str, list[str]] = json.loads(os.environ.get("FUZZ_EXISTING", '{"names": [], "upload_ids": []}'))
CHUNK_BYTES = 64 * 1024
_CHUNK_BODIES = [base64.b64encode(content).decode() for content in (bytes(CHUNK_BYTES), bytes(5), b"other")]
_DELETABLE = ["deletable 1", "deletable 2"]
"""Names that DELETE requests use, so that other requests find the rest."""


@cache
def _body_members() -> dict[str, set[str]]:
    """Return the members of each JSON request body, by path."""
    document = json.loads((ROOT / "docs/openapi.json").read_text(encoding="utf-8"))
    members = {}
    for path, item in document["paths"].items():
        content = item.get("post", {}).get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        if schema and "$ref" in schema:
            members[path] = set(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"])
    return members


def _use_existing_values(context: schemathesis.HookContext, members: Any) -> Any:
    """Return the members of a query, a path or a body, with some values replaced and some unknown members removed."""
    if not isinstance(members, dict) or context.operation is None:
        return members
    number = zlib.crc32(repr(sorted(members.items(), key=str)).encode("utf-8", "replace"))
    method, path = context.operation.method.upper(), context.operation.path
    known = _body_members().get(path)
    chosen = {name: value for name, value in members.items() if known is None or name in known or not number % 4}

    def sometimes(name: str, values: Sequence[Any], divisor: int) -> None:
        if name in chosen and values and number % 4:
            chosen[name] = values[number // divisor % len(values)]

    sometimes("filename", _DELETABLE if method == "DELETE" else [*EXISTING["names"], *_DELETABLE], 4)
    sometimes("upload_id", EXISTING["upload_ids"], 4)
    sometimes("chunk_index", (1, 2, 3), 8)
    sometimes("data", _CHUNK_BODIES, 16)
    sometimes("size", (CHUNK_BYTES + 5,), 1)
    sometimes("chunk_size", (CHUNK_BYTES,), 1)
    sometimes("parts", ([{"part_number": 1}],), 1)
    sometimes("wait", (1,), 1)
    if isinstance(chosen.get("content_type"), str) and "/" in chosen["content_type"]:
        # A download has the type of its file, and the document describes it as octet-stream.
        chosen["content_type"] = "application/octet-stream"
    if number % 3:
        for name in ("upload_id", "checksum", "content_type", "metadata"):
            chosen.pop(name, None)
    if path == "/cleanup" and number % 8:
        chosen["dry_run"] = True
    return chosen


@schemathesis.hook
def map_query(context: schemathesis.HookContext, query: Any) -> Any:
    return _use_existing_values(context, query)


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: Any) -> Any:
    """Replace the values, but keep every parameter: a path without one has no URL."""
    replaced = _use_existing_values(context, path_parameters)
    return {**path_parameters, **replaced} if isinstance(path_parameters, dict) else replaced


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    return _use_existing_values(context, body)


# Media types of the resumable protocols, for which Schemathesis has no serializer.
schemathesis.serializer.alias(
    ["application/offset+octet-stream", "application/partial-upload"], "application/octet-stream"
)
