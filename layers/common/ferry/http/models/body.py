"""The base of the models, and members of more than one of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ferry.http import bodies
from ferry.http.limits import MAX_UPLOAD_ID_BYTES
from ferry.http.request import Request
from ferry.http.validation import parse_body


def _reject_null(value: object) -> object:
    """Raise a validation error for null: the client has probably meant a condition, and its variable is empty."""
    if value is None:
        raise PydanticCustomError("null_condition", "null")
    return value


UploadId = Annotated[str, Field(min_length=1, max_length=MAX_UPLOAD_ID_BYTES)]
IfExists = Literal["fail", "rename", "replace"]
EntityTag = Annotated[str, Field(min_length=1, max_length=256)]
OptionalUploadId = Annotated[UploadId | None, BeforeValidator(_reject_null)]
"""An upload id, or a member that is left out; not null."""
OptionalEntityTag = Annotated[EntityTag | None, BeforeValidator(_reject_null)]
"""A condition, or a member that is left out; not null."""


class Body(BaseModel):
    """Base of the models. Attribute docstrings are the descriptions of the OpenAPI document."""

    # Pydantic builds a validator when it is first used: a cold start builds only the one that its request needs.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    media_type: ClassVar[str] = bodies.JSON
    """The Content-Type of the body."""

    @classmethod
    def read(cls, request: Request, max_bytes: int = bodies.MAX_JSON_BYTES) -> Self:
        """Return the request's body. Raises what `ferry.http.validation.parse_body` raises."""
        return parse_body(request, cls, max_bytes, cls.media_type)


class Checksum(Body):
    """A checksum: an algorithm and the value that it gives."""

    algorithm: str
    """For a chunk in JSON: `crc32`, `crc32c`, `md5` or `sha256`. For a part or a whole file: `crc32c`."""
    value: str
    """Base64 of the raw value; CRCs are big-endian."""
