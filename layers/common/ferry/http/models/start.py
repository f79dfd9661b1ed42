"""The body of a start."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ferry.http.models.body import Body, Checksum, IfExists
from ferry.http.models.checks import validate_fingerprint
from ferry.http.models.members import MediaType, Metadata


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
    fingerprint: Annotated[str, AfterValidator(validate_fingerprint)] | None = None
    """Up to 256 bytes that identify the local file, such as its inode and modification time."""
    metadata: Metadata | None = None
    """Names and values to store with the file: up to 2,048 bytes of UTF-8 together, without control characters."""
    if_exists: IfExists = "fail"
    """What to do when a file of that name exists: reject the upload, replace the file at completion, or take the next
    free name, `name (2).ext` and so on. Under `rename` an open upload makes a name taken, too, and `filename` of the
    response is the upload's name in every later request. Where starts of one upload differ, the most careful choice
    holds: `fail`, then `rename`, then `replace`."""
    resume: bool = False
    """Whether to resume an open upload of that name and size that has neither checksum nor fingerprint, if this request
    has neither, too: the client says that all bytes are of one file."""
    restart: bool = False
    """Whether to cancel an open upload of that name and to start a new one."""
