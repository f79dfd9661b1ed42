"""The JSON bodies of requests. Values are not coerced, and unknown members are rejected."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ferry.http import bodies
from ferry.http.limits import MAX_FINGERPRINT_BYTES, MAX_SIGNED_PARTS, MAX_UPLOAD_ID_BYTES
from ferry.http.request import Request
from ferry.http.validation import parse_body
from ferry.rules.media_types import is_media_type
from ferry.rules.metadata import metadata_problem


def _validate_media_type(value: str) -> str:
    """Return a media type (RFC 9110 section 8.3.1). It becomes a header of the download, so other text is rejected."""
    if not is_media_type(value):
        raise PydanticCustomError("ferry", "must be a media type, such as text/plain; charset=utf-8")
    return value


def _validate_fingerprint(value: str) -> str:
    if len(value.encode()) > MAX_FINGERPRINT_BYTES:
        raise PydanticCustomError("ferry", f"must have at most {MAX_FINGERPRINT_BYTES} bytes of UTF-8")
    return value


def _validate_metadata(value: dict[str, str]) -> dict[str, str]:
    problem = metadata_problem(value)
    if problem is not None:
        raise PydanticCustomError("ferry", "{problem}", {"problem": problem})
    return value


Metadata = Annotated[dict[str, str], AfterValidator(_validate_metadata)]
MediaType = Annotated[str, AfterValidator(_validate_media_type)]
UploadId = Annotated[str, Field(min_length=1, max_length=MAX_UPLOAD_ID_BYTES)]
IfExists = Literal["fail", "replace"]


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


class StartBody(Body):
    """The file to upload."""

    filename: str
    """The name of the file: a path of 1 to 1,000 bytes of UTF-8 after normalization to NFC. Its segments, which `/`
    separates, have 1 to 255 bytes."""
    size: Annotated[int, Field(ge=0)]
    """Bytes of the whole file."""
    content_type: MediaType | None = None
    """The media type of the file; `application/octet-stream` by default."""
    chunk_size: Annotated[int, Field(ge=1)] | None = None
    """Bytes of each chunk: a power of two from 65,536 to 4,194,304, which is the default."""
    part_size: Annotated[int, Field(ge=1)] | None = None
    """The preferred bytes of each part, from 5,242,880 to 5,368,709,120; 8,388,608 by default. The plan has the next
    multiple of the chunk size that gives at most 10,000 parts. Parts over 33,554,432 bytes take no chunks."""
    checksum: Checksum | None = None
    """The CRC32C of the whole file, which S3 verifies at completion."""
    fingerprint: Annotated[str, AfterValidator(_validate_fingerprint)] | None = None
    """Up to 256 bytes that identify the local file, such as its inode and modification time."""
    metadata: Metadata | None = None
    """Names and values to store with the file: up to 2,048 bytes of UTF-8 together, without control characters."""
    if_exists: IfExists = "fail"
    """What to do when a file of that name exists: reject the upload, or replace the file at completion. Where starts of
    one upload differ, the most careful choice holds."""
    resume: bool = False
    """Whether to resume an open upload of that name and size that has neither checksum nor fingerprint, if this request
    has neither, too: the client says that all bytes are of one file."""
    restart: bool = False
    """Whether to cancel an open upload of that name and to start a new one."""


class ChunkBody(Body):
    """A chunk, with its bytes in base64."""

    filename: str
    """The name of the file."""
    chunk_index: int
    """The index of the chunk, from 1."""
    data: str
    """The bytes in base64 (RFC 4648 section 4): padded, without line breaks."""
    checksum: Checksum | None = None
    """A checksum of the bytes, which is verified before anything is stored."""
    upload_id: UploadId | None = None
    """The upload; the current upload of the name by default."""


class PartBody(Body):
    """A part to presign."""

    part_number: int
    """The number of the part, from 1."""
    checksum: Checksum | None = None
    """The CRC32C of the part, which S3 then verifies."""


class PartsBody(Body):
    """The parts to presign."""

    filename: str
    """The name of the file."""
    parts: Annotated[list[PartBody], Field(min_length=1, max_length=MAX_SIGNED_PARTS)]
    """The parts, at most 100."""
    upload_id: UploadId | None = None
    """The upload; the current upload of the name by default."""


class CompleteBody(Body):
    """The upload to complete."""

    filename: str
    """The name of the file."""
    upload_id: UploadId | None = None
    """The upload; the current upload of the name by default."""
    checksum: Checksum | None = None
    """The CRC32C of the whole file; overrides the one of `start`."""
    if_exists: IfExists | None = None
    """What to do when a file of that name exists; overrides the choice of `start`."""


class MetadataBody(Body):
    """The value of the header Ferry-Metadata, as a member of its own."""

    metadata: Metadata
    """Names and values to store with the file."""


class FilePatchBody(Body):
    """What to change of a file's record, as a merge patch (RFC 7396)."""

    media_type: ClassVar[str] = "application/merge-patch+json"

    content_type: MediaType | None = None
    """The new media type; `null` for `application/octet-stream`."""
    metadata: dict[str, str | None] | None = None
    """Values to set by their names; a name whose value is `null` is removed. `null` removes all names."""
