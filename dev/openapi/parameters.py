"""Parameters and response headers of the OpenAPI document: what functions read from a query, a path or a header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from dev.openapi.schemas import Schema
from ferry.http.file_listings import DEFAULT_LIMIT as DEFAULT_FILE_LIMIT
from ferry.http.file_listings import MAX_LIMIT
from ferry.http.limits import MAX_UPLOAD_ID_BYTES
from ferry.http.queries import DEFAULT_LIMIT, MAX_WAIT_SECONDS
from ferry.rules.listing import DELIMITER


@dataclass(frozen=True)
class Parameter:
    """A parameter of an operation."""

    place: Literal["path", "query", "header"]
    """Where the parameter is sent."""
    name: str
    """The name on the wire."""
    description: str
    """What it means, in a sentence."""
    schema: Schema
    """Its JSON Schema."""
    example: Any = None
    """A valid value; None for no example."""
    required: bool = False
    """Whether a request without it is rejected."""

    def describe(self) -> dict[str, Any]:
        """Return the OpenAPI parameter object."""
        example = {} if self.example is None else {"example": self.example}
        return {
            "name": self.name,
            "in": self.place,
            "required": self.required,
            "description": self.description,
            "schema": self.schema,
            **example,
        }


TEXT: Schema = {"type": "string"}
INTEGER: Schema = {"type": "integer"}

FILENAME_PATH = Parameter(
    "path",
    "filename",
    "The name of the file, percent-encoded once. It spans all segments that follow; a `/` in it may be sent as it is "
    "or as `%2F`. For names that a gateway may change in a path, and for names that begin with `partial/`, use the "
    "route that takes `?filename=`.",
    TEXT,
    "hello.txt",
    required=True,
)
FILENAME_QUERY = Parameter(
    "query", "filename", "The name of the file, percent-encoded once.", TEXT, "hello.txt", required=True
)
OPTIONAL_FILENAME_QUERY = Parameter("query", "filename", "The name of the file, percent-encoded once.", TEXT)
LINK_ID_PATH = Parameter(
    "path", "link_id", "The id of the link.", TEXT, "0b6f0f3e8f7b4d0c9c0a4f4e2d1b7a55", required=True
)
SECRET_PATH = Parameter(
    "path",
    "secret",
    "The secret of the link: the last segment of its `url`.",
    TEXT,
    "3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    required=True,
)
STATUS_UPLOAD_ID_QUERY = Parameter(
    "query",
    "upload_id",
    "Which upload of the name; the newest by default. With an id, uploads that have ended are shown too.",
    {"type": "string", "minLength": 1, "maxLength": MAX_UPLOAD_ID_BYTES},
)
UPLOAD_ID_QUERY = Parameter(
    "query",
    "upload_id",
    "The upload; the current upload of the name by default.",
    {"type": "string", "maxLength": MAX_UPLOAD_ID_BYTES},
)
CURSOR_QUERY = Parameter("query", "cursor", "The `cursor` of the previous page.", TEXT)
LIMIT_QUERY = Parameter(
    "query",
    "limit",
    "The most items of a page; a page may have fewer.",
    {"type": "integer", "minimum": 1, "default": DEFAULT_LIMIT},
)
PREFIX_QUERY = Parameter("query", "prefix", "The text that the names begin with.", TEXT, "hello")
DELIMITER_QUERY = Parameter(
    "query",
    "delimiter",
    "`/` lists names with a further `/` after the prefix once, as their folder, in `prefixes`. Omit it to list every "
    "name.",
    {"type": "string", "enum": [DELIMITER]},
)
DELETED_QUERY = Parameter(
    "query",
    "deleted",
    "`true` lists the files that were deleted or replaced and can be restored; it does not go with `delimiter`.",
    {"type": "string", "enum": ["true"]},
)
FILE_LIMIT_QUERY = Parameter(
    "query",
    "limit",
    "The most entries of a page, files and folders together. A page has fewer if it is the last, or if its bytes or "
    "the time for it end it earlier; it then has a `cursor`.",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_FILE_LIMIT},
)

DIGEST_PARAMETERS = (
    Parameter(
        "header",
        "Content-Digest",
        "RFC 9530: `sha-256`, `sha-512`, `md5` or `crc32c` of the body, verified before anything is stored. Of JSON "
        "it is that of the JSON.",
        TEXT,
    ),
    Parameter("header", "Content-MD5", "As Content-Digest: base64 of the MD5 (RFC 1864).", TEXT),
    Parameter("header", "Digest", "As Content-Digest, in the form of RFC 3230.", TEXT),
    Parameter("header", "x-amz-checksum-crc32c", "As Content-Digest: base64 of the CRC32C.", TEXT),
    Parameter("header", "x-amz-checksum-crc32", "As Content-Digest: base64 of the CRC32.", TEXT),
    Parameter("header", "x-amz-checksum-sha256", "As Content-Digest: base64 of the SHA-256.", TEXT),
)
REPR_DIGEST_PARAMETER = Parameter(
    "header", "Repr-Digest", "As Content-Digest: of a whole file, which is the body, the two are the same.", TEXT
)
METADATA_PARAMETER = Parameter(
    "header",
    "Ferry-Metadata",
    "Base64 of a JSON object of names and values to store with the file: up to 2,048 bytes of UTF-8 together, without "
    "control characters.",
    TEXT,
    "eyJjYW1lcmEiOiAiZnJvbnQifQ==",
)
CONTENT_TYPE_QUERY = Parameter(
    "query",
    "content_type",
    "The media type of the file, in place of the Content-Type of the body.",
    TEXT,
    "application/octet-stream",
)
CHUNK_PARAMETERS = (
    Parameter("query", "filename", "Raw form only, and required there: the name of the file.", TEXT),
    Parameter("query", "chunk_index", "Raw form only, and required there: the index of the chunk, from 1.", INTEGER),
    Parameter("query", "upload_id", "Raw form only: the upload; the current upload of the name by default.", TEXT),
    *DIGEST_PARAMETERS,
)
REDIRECT_QUERY = Parameter(
    "query",
    "redirect",
    "`false` returns the URL as JSON, for clients that would send the access token to S3 when they follow a redirect.",
    {"type": "boolean", "default": True},
)
DISPOSITION_QUERY = Parameter(
    "query",
    "disposition",
    "`inline` lets a browser show images (PNG, JPEG, GIF, WebP, AVIF, BMP), audio, video, PDF and plain text, which S3 "
    "then sends from an origin of its own. All other types are attachments.",
    {"type": "string", "enum": ["attachment", "inline"], "default": "attachment"},
)
RANGE_PARAMETERS = (
    Parameter(
        "header",
        "Range",
        "One range of bytes. A malformed range, and several ranges, return the whole file.",
        TEXT,
        "bytes=0-1023",
    ),
    Parameter("header", "If-Range", "RFC 9110 section 13.1.5.", TEXT),
)
CONDITION_PARAMETERS = (
    Parameter("header", "If-Match", "RFC 9110 section 13.1.1.", TEXT),
    Parameter("header", "If-None-Match", "RFC 9110 section 13.1.2.", TEXT),
    Parameter("header", "If-Modified-Since", "RFC 9110 section 13.1.3; send the `Last-Modified` of a response.", TEXT),
    Parameter("header", "If-Unmodified-Since", "RFC 9110 section 13.1.4.", TEXT),
)
CHANGE_CONDITION_PARAMETERS = (
    Parameter(
        "header", "If-Match", "Only if the file has one of these entity tags, of its record or its content.", TEXT
    ),
    Parameter("header", "If-None-Match", "Only if the file has none of these entity tags; `*`: never.", TEXT),
    Parameter(
        "header", "If-Unmodified-Since", "Only if the file is that of this date (RFC 9110 section 13.1.4).", TEXT
    ),
)
_ABOUT_NEW_NAME = Parameter(
    "header",
    "If-None-Match",
    "Only if the new name has no file with one of these entity tags; `*`: no file at all, as `if_exists: fail`.",
    TEXT,
)
MOVE_CONDITION_PARAMETERS = (
    Parameter("header", "If-Match", "Only if the file that moves has one of these entity tags.", TEXT),
    _ABOUT_NEW_NAME,
    Parameter(
        "header",
        "If-Unmodified-Since",
        "Only if the file that moves is that of this date (RFC 9110 section 13.1.4).",
        TEXT,
    ),
)
NEW_NAME_CONDITION_PARAMETERS = (
    Parameter("header", "If-Match", "Only if the new name has a file with one of these entity tags.", TEXT),
    _ABOUT_NEW_NAME,
    Parameter(
        "header",
        "If-Unmodified-Since",
        "Only if the file of the new name is that of this date (RFC 9110 section 13.1.4).",
        TEXT,
    ),
)
RECORD_CONDITION_PARAMETERS = (
    Parameter("header", "If-Match", "Only if the record or the content has one of these entity tags.", TEXT),
    Parameter("header", "If-None-Match", "Only if the record has none of these entity tags.", TEXT),
)
LONG_POLL_PARAMETERS = (
    Parameter(
        "query",
        "wait",
        "With `since`: seconds to wait for a newer version.",
        {"type": "integer", "minimum": 1, "maximum": MAX_WAIT_SECONDS},
    ),
    Parameter("query", "since", "With `wait`: the `version` that the client has.", INTEGER),
    Parameter("header", "If-None-Match", "The `ETag` of an earlier response.", TEXT),
)
CLEANUP_PARAMETERS = (
    Parameter(
        "query",
        "older_than",
        "Seconds since the last activity; without it, uploads that have expired.",
        {"type": "integer", "minimum": 0},
        86_400,
    ),
    OPTIONAL_FILENAME_QUERY,
    Parameter(
        "query", "dry_run", "`true` reports what a cleanup would do, and changes nothing.",
        {"type": "boolean", "default": False},
        True,
    ),
    CURSOR_QUERY,
)  # fmt: skip

RESPONSE_HEADERS: dict[str, str] = {
    "Accept-Ranges": "`bytes`.",
    "Cache-Control": "Which caches may store the response.",
    "Content-Disposition": "`attachment`, or `inline` if asked for, with the name of the file (RFC 6266).",
    "Content-Length": "Bytes of this response; for HEAD, bytes of the file.",
    "Content-Range": "The range of this response and the size of the file; with status 416, `bytes */size`.",
    "Cross-Origin-Resource-Policy": "`same-origin`.",
    "ETag": "The strong entity tag.",
    "Ferry-Filename": "The name of the file, as percent-encoded UTF-8.",
    "Ferry-Size": "Bytes of the whole file.",
    "Last-Modified": "The date that S3 gives the file: when its upload began.",
    "Location": "A presigned URL; of a creation, the URL of the upload.",
    "Referrer-Policy": "`no-referrer`: the address of the page is a secret.",
    "Repr-Digest": "The `crc32c` of the whole file (RFC 9530).",
    "Retry-After": "Seconds after which to try again.",
    "Tus-Checksum-Algorithm": "The algorithms of `Upload-Checksum`.",
    "Tus-Extension": "The extensions of tus.",
    "Tus-Max-Size": "Bytes of an upload at most.",
    "Tus-Resumable": "In tus: `1.0.0`.",
    "Tus-Version": "The versions of tus: `1.0.0`.",
    "Upload-Complete": "In the draft: `?1` if the file is committed, else `?0`.",
    "Upload-Expires": "In tus: when the upload expires, as an HTTP date.",
    "Upload-Length": "Bytes of the whole file, once they are known.",
    "Upload-Limit": "In the draft: the limits of an upload.",
    "Upload-Offset": "Where the upload continues.",
    "Vary": "`Origin`: the CORS headers depend on it.",
    "WWW-Authenticate": "How to authenticate.",
    "X-Robots-Tag": "`noindex, nofollow`.",
    "X-Request-Id": "The id of this request in the logs.",
}
