"""The JSON bodies of requests. Strict: no coercion, no unknown members."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ferry.http import bodies
from ferry.http.request import MAX_UPLOAD_ID_BYTES, Request
from ferry.http.validation import parse_body

MAX_FINGERPRINT_BYTES = 256
MAX_METADATA_BYTES = 2_048
MAX_SIGNED_PARTS = 100

_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE_PATTERN = re.compile(
    rf"{_TCHARS}/{_TCHARS}(?:[ \t]*;[ \t]*{_TCHARS}=(?:{_TCHARS}|\"[\x20\x21\x23-\x5b\x5d-\x7e]*\"))*"
)


def _validate_media_type(value: str) -> str:
    """A media type of RFC 9110 section 8.3.1: it becomes a header, so nothing else will do."""
    if len(value) > 255 or not _MEDIA_TYPE_PATTERN.fullmatch(value):
        raise PydanticCustomError("ferry", "must be a media type, such as text/plain; charset=utf-8")
    return value


def _validate_fingerprint(value: str) -> str:
    if len(value.encode()) > MAX_FINGERPRINT_BYTES:
        raise PydanticCustomError("ferry", f"has at most {MAX_FINGERPRINT_BYTES} bytes")
    return value


def _validate_metadata(value: dict[str, str]) -> dict[str, str]:
    if "" in value:
        raise PydanticCustomError("ferry", "has a member without a name")
    if sum(len(text.encode()) for pair in value.items() for text in pair) > MAX_METADATA_BYTES:
        raise PydanticCustomError("ferry", f"has at most {MAX_METADATA_BYTES} bytes, names and values together")
    return value


UploadId = Annotated[
    str, Field(max_length=MAX_UPLOAD_ID_BYTES, description="As `start` gave it; without it, the current upload.")
]
Filename = Annotated[str, Field(description="1 to 255 bytes of UTF-8, in Unicode's normal form C.")]
IfExists = Literal["fail", "replace"]


class Body(BaseModel):
    # Built when first used: a cold start waits for the one model that its request needs.
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)

    @classmethod
    def read(cls, request: Request, max_bytes: int = bodies.MAX_JSON_BYTES) -> Self:
        """The request's body. Raises what `ferry.http.validation.parse` does."""
        return parse_body(request, cls, max_bytes)


class Checksum(Body):
    """An algorithm's name and the base64 of its raw value (CRCs big-endian)."""

    algorithm: str
    value: str


class StartBody(Body):
    """What is to be uploaded."""

    filename: Filename
    size: Annotated[int, Field(ge=0, description="Bytes.")]
    content_type: Annotated[str, AfterValidator(_validate_media_type)] | None = None
    chunk_size: Annotated[int, Field(ge=1, description="Bytes, a power of two from 65,536 to 4,194,304.")] | None = None
    checksum: Checksum | None = None
    fingerprint: Annotated[str, AfterValidator(_validate_fingerprint), Field(description="Up to 256 bytes.")] | None = (
        None
    )
    metadata: (
        Annotated[dict[str, str], AfterValidator(_validate_metadata), Field(description="Up to 2,048 bytes.")] | None
    ) = None
    if_exists: IfExists = "fail"
    restart: bool = False


class ChunkBody(Body):
    """One chunk, its bytes in base64 (RFC 4648 section 4: padded, no line breaks)."""

    filename: Filename
    chunk_index: Annotated[int, Field(description="From 1.")]
    data: str
    checksum: Checksum | None = None
    upload_id: UploadId | None = None


class PartBody(Body):
    """A part to be signed, by its number from 1."""

    part_number: int
    checksum: Checksum | None = None


class PartsBody(Body):
    """Parts to be sent straight to S3."""

    filename: Filename
    parts: Annotated[list[PartBody], Field(min_length=1, max_length=MAX_SIGNED_PARTS)]
    upload_id: UploadId | None = None


class CompleteBody(Body):
    """The upload to be completed; `checksum` and `if_exists` override what `start` said."""

    filename: Filename
    upload_id: UploadId | None = None
    checksum: Checksum | None = None
    if_exists: IfExists | None = None
