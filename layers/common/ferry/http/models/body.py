"""The base of the models, and members of more than one of them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ferry.http.limits import MAX_UPLOAD_ID_BYTES
from ferry.http.models.checks import reject_null
from ferry.http.response import JSON

UploadId = Annotated[str, Field(min_length=1, max_length=MAX_UPLOAD_ID_BYTES)]
IfExists = Literal["fail", "rename", "replace"]
EntityTag = Annotated[str, Field(min_length=1, max_length=256)]
OptionalUploadId = Annotated[UploadId | None, BeforeValidator(reject_null)]
"""An upload id, or a member that is left out; not null."""
OptionalEntityTag = Annotated[EntityTag | None, BeforeValidator(reject_null)]
"""A condition, or a member that is left out; not null."""


class Body(BaseModel):
    """Base of the models. Attribute docstrings are the descriptions of the OpenAPI document."""

    # Pydantic builds a validator when it is first used: a cold start builds only the one that its request needs.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    media_type: ClassVar[str] = JSON
    """The Content-Type of the body."""


class Checksum(Body):
    """A checksum: an algorithm and the value that it gives."""

    algorithm: str
    """For a chunk in JSON: `crc32`, `crc32c`, `md5` or `sha256`. For a part or a whole file: `crc32c`."""
    value: str
    """Base64 of the raw value; CRCs are big-endian."""
