"""The JSON bodies of requests, validated by pydantic-core against the schemas of the models.

The models of `ferry.http.models` are pydantic's. Importing pydantic and building a model takes 70 ms of a cold start.
So `python -m dev.openapi.document` writes the schemas of all models into `request_schemas.json`, and a function loads
only pydantic-core, which is pydantic's validator. See docs/decisions/0008.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ferry.http import bodies
from ferry.http.validation import validate

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

    from ferry.http.models.body import Body
    from ferry.http.models.chunks import ChunkBody
    from ferry.http.models.completions import CompleteBody
    from ferry.http.models.file_changes import DeleteFilesBody, MoveBody, RestoreBody
    from ferry.http.models.files import FilePatchBody, MetadataBody
    from ferry.http.models.links import LinkCreateBody, LinkTokenBody
    from ferry.http.models.parts import PartsBody
    from ferry.http.models.start import StartBody
    from ferry.http.request import Request

B = TypeVar("B", bound="Body")

SCHEMAS_PATH = Path(__file__).with_name("request_schemas.json")


class ValidatedObject:
    """A validated body, or an object in one, as pydantic-core builds it: it has the attributes of the model."""

    __pydantic_fields_set__: set[str]

    @property
    def model_fields_set(self) -> set[str]:
        """The names of the members that the request has; the others have their defaults."""
        return self.__pydantic_fields_set__


class BodyReader(Generic[B]):
    """Reads the bodies of one model."""

    def __init__(self, model_name: str) -> None:
        self.model_name = model_name
        """The name of the class in `ferry.http.models`."""

    def read(self, request: Request, max_bytes: int = bodies.MAX_JSON_BYTES) -> B:
        """Return the request's body.

        Raises:
            InvalidField: `validate` raises it.
            UnsupportedMediaType, BodyTooLarge, MalformedBody: `bodies.read_json` raises them.
        """
        media_type = _schemas()[self.model_name]["media_type"]
        return self.validate(bodies.read_json(request, max_bytes, media_type))

    def validate(self, value: object) -> B:
        """Return a JSON value as the model describes it. Raises what `ferry.http.validation.validate` raises."""
        return cast("B", validate(self.validator(), value))

    def validator(self) -> SchemaValidator:
        """Return the validator, which is built at its first use."""
        return _validator(self.model_name)


START: BodyReader[StartBody] = BodyReader("StartBody")
CHUNK: BodyReader[ChunkBody] = BodyReader("ChunkBody")
PARTS: BodyReader[PartsBody] = BodyReader("PartsBody")
COMPLETE: BodyReader[CompleteBody] = BodyReader("CompleteBody")
FILE_PATCH: BodyReader[FilePatchBody] = BodyReader("FilePatchBody")
METADATA: BodyReader[MetadataBody] = BodyReader("MetadataBody")
MOVE: BodyReader[MoveBody] = BodyReader("MoveBody")
RESTORE: BodyReader[RestoreBody] = BodyReader("RestoreBody")
DELETE_FILES: BodyReader[DeleteFilesBody] = BodyReader("DeleteFilesBody")
LINK_CREATE: BodyReader[LinkCreateBody] = BodyReader("LinkCreateBody")
LINK_TOKEN: BodyReader[LinkTokenBody] = BodyReader("LinkTokenBody")


def readers() -> Iterator[BodyReader[Any]]:
    """Yield every reader."""
    yield from (value for value in globals().values() if isinstance(value, BodyReader))


@cache
def _schemas() -> Mapping[str, Any]:
    """Return the schemas with their media types, by the names of models."""
    schemas: dict[str, Any] = json.loads(SCHEMAS_PATH.read_bytes())
    return schemas


@cache
def _validator(model_name: str) -> SchemaValidator:
    from pydantic_core import SchemaValidator

    return SchemaValidator(_with_code(_schemas()[model_name]["schema"]))


def _with_code(schema: Any) -> Any:
    """Return a schema with what JSON cannot hold: the class of objects, and functions in place of their names."""
    if isinstance(schema, list):
        return [_with_code(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _with_code(value) for name, value in schema.items()}
    if found.get("type") == "model":
        # The name of the class is in the location of an error where a member may be text or an object.
        found["cls"] = type(found["config"]["title"], (ValidatedObject,), {})
    if found.get("type") == "no-info":
        module, _, function = found["function"].partition(":")
        found["function"] = getattr(import_module(module), function)
    return found
