"""Write the schemas by which functions validate JSON bodies, from the models: pydantic's own, as JSON.

A function loads them into pydantic-core (`ferry.http.request_bodies`), because importing pydantic takes long.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from typing import Any

from ferry.http import models, request_bodies
from ferry.http.models.body import Body

PATH = request_bodies.SCHEMAS_PATH

_UNUSED_KEYS = frozenset({"cls", "ref", "metadata", "custom_init", "root_model", "computed_fields"})
"""Members that hold Python's objects or defaults. The functions set `cls`."""


def build_text() -> str:
    """Return the content of the file: the media type and the schema of each model that a reader has."""
    for module in pkgutil.iter_modules(models.__path__, f"{models.__name__}."):
        importlib.import_module(module.name)
    kinds = {kind.__name__: kind for kind in Body.__subclasses__()}
    schemas = {reader.model_name: _describe(kinds[reader.model_name]) for reader in request_bodies.readers()}
    return json.dumps(schemas, separators=(",", ":")) + "\n"


def _describe(kind: type[Body]) -> dict[str, Any]:
    kind.model_rebuild(force=True)
    return {"media_type": kind.media_type, "schema": _as_json(kind.__pydantic_core_schema__)}


def _as_json(schema: Any) -> Any:
    if isinstance(schema, list | tuple):
        return [_as_json(item) for item in schema]
    if callable(schema):
        return f"{schema.__module__}:{schema.__qualname__}"
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "definitions":
        raise ValueError("A model that a body has twice becomes a reference by an address, which differs in each run.")
    # The fields of a model have no type: a field may have the name of an unused member.
    unused = _UNUSED_KEYS if isinstance(schema.get("type"), str) else frozenset()
    return {name: _as_json(value) for name, value in schema.items() if name not in unused}
