"""The base of the models, and members of more than one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

from ferry.http import bodies
from ferry.http.json_values import JsonSchema
from ferry.http.limits import MAX_UPLOAD_ID_BYTES
from ferry.http.request import Request
from ferry.http.validation import NotNull, parse_body

UploadId = Annotated[str, JsonSchema(minLength=1, maxLength=MAX_UPLOAD_ID_BYTES)]
IfExists = Literal["fail", "rename", "replace"]
EntityTag = Annotated[str, JsonSchema(minLength=1, maxLength=256)]
OptionalUploadId = Annotated[UploadId | None, NotNull()]
"""An upload id, or a member that is left out; not null."""
OptionalEntityTag = Annotated[EntityTag | None, NotNull()]
"""A condition, or a member that is left out; not null."""


class Body:
    """Base of the models. Attribute docstrings are the descriptions of the OpenAPI document."""

    media_type: ClassVar[str] = bodies.JSON
    """The Content-Type of the body."""

    sent_members: frozenset[str] = frozenset()
    """The names of the members that the request has, which `validate` sets; the others have their defaults."""

    @classmethod
    def read(cls, request: Request, max_bytes: int = bodies.MAX_JSON_BYTES) -> Self:
        """Return the request's body. Raises what `ferry.http.validation.parse_body` raises."""
        return parse_body(request, cls, max_bytes, cls.media_type)

    def find_problem(self) -> str | None:
        """Return what is wrong with members that are valid one by one, or None."""
        return None


@dataclass(frozen=True)
class Checksum(Body):
    """A checksum: an algorithm and the value that it gives."""

    algorithm: str
    """For a chunk in JSON: `crc32`, `crc32c`, `md5` or `sha256`. For a part or a whole file: `crc32c`."""
    value: str
    """Base64 of the raw value; CRCs are big-endian."""
