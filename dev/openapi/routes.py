"""What each route takes and answers. Statuses of refusals come from the table of errors, scopes from the functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from dev.openapi.schemas import Schema, enum_schema, ref
from ferry import errors
from ferry.http import models, request_errors

ErrorType = type[errors.FerryError]
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One route. `answers` maps a status to what it says and its media types; `parameters` are ready-made."""

    summary: str
    responses: Mapping[int, ResponseDoc]
    description: str = ""
    parameters: tuple[Schema, ...] = ()
    body: type[BaseModel] | None = None
    other_bodies: Mapping[str, Schema] = field(default_factory=dict)
    error_types: tuple[ErrorType, ...] = ()


@dataclass(frozen=True)
class ResponseDoc:
    description: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


def query_parameter(name: str, schema: Schema, description: str, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def header_parameter(name: str, description: str) -> Schema:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def json_content(name: str) -> Mapping[str, Schema]:
    return {JSON: ref(name)}


INTEGER: Schema = {"type": "integer"}
BINARY: Schema = {"type": "string", "format": "binary"}
FILENAME_PATH: Schema = {
    "name": "filename",
    "in": "path",
    "required": True,
    "description": "Percent-encoded once. Use `?filename=` on the path without it for names that a gateway may mangle.",
    "schema": {"type": "string"},
}
FILENAME_QUERY = query_parameter("filename", {"type": "string"}, "The name, percent-encoded once.", required=True)
OPTIONAL_FILENAME_QUERY = query_parameter("filename", {"type": "string"}, "The name, percent-encoded once.")
CURSOR_QUERY = query_parameter("cursor", {"type": "string"}, "As the page before gave it.")
LIMIT_QUERY = query_parameter(
    "limit", {"type": "integer", "minimum": 1, "default": 50}, "The most items of a page; it may have fewer."
)

BODY_ERRORS: tuple[ErrorType, ...] = (
    errors.MalformedBody,
    errors.InvalidField,
    errors.InvalidFilename,
    request_errors.BodyTooLarge,
    request_errors.UnsupportedMediaType,
)
FILENAME_ERRORS: tuple[ErrorType, ...] = (errors.InvalidField, errors.InvalidFilename)
UPLOAD_ERRORS: tuple[ErrorType, ...] = (
    errors.UploadNotFound,
    errors.UploadSuperseded,
    errors.UploadExpired,
    errors.UploadCancelled,
    errors.CompletionInProgress,
)

START = Operation(
    "Start an upload, or go on with it",
    {
        201: ResponseDoc("A new upload.", json_content("Plan")),
        200: ResponseDoc(
            "The open upload of that name, and what is there already; or the file, if this very one is there.",
            {JSON: {"oneOf": [ref("Plan"), ref("AlreadyComplete")]}},
        ),
    },
    "An open upload with the same size, checksum and fingerprint is resumed; absent on both sides counts as the same.",
    body=models.StartBody,
    error_types=(
        *BODY_ERRORS,
        errors.ChecksumUnsupported,
        errors.UploadInProgress,
        errors.CompletionInProgress,
        errors.FileExists,
        errors.QuotaExceeded,
    ),
)
CHUNK = Operation(
    "Send a chunk",
    {200: ResponseDoc("The chunk's bytes are durable.", json_content("ChunkAccepted"))},
    "As JSON, or raw with the query parameters; a body without a Content-Type is taken for JSON. At most 4 MiB.",
    (
        query_parameter("filename", {"type": "string"}, "Raw form only, and required there."),
        query_parameter("chunk_index", INTEGER, "Raw form only, and required there; from 1."),
        query_parameter("upload_id", {"type": "string"}, "Raw form only."),
        header_parameter(
            "Content-Digest", "Raw form only (RFC 9530): sha-256, sha-512, md5. Verified before anything is stored."
        ),
    ),
    models.ChunkBody,
    {"application/octet-stream": BINARY},
    (
        *(kind for kind in BODY_ERRORS if kind is not request_errors.BodyTooLarge),
        *UPLOAD_ERRORS,
        errors.UploadAlreadyComplete,
        errors.ChecksumMismatch,
        errors.ChecksumUnsupported,
        errors.ChunkTooLarge,
        errors.ChunkSizeMismatch,
        errors.ChunkIndexOutOfRange,
        errors.ChunksUnavailable,
        errors.ChunkConflict,
    ),
)
PARTS = Operation(
    "Sign parts to be sent straight to S3",
    {200: ResponseDoc("A presigned PUT for each part, in the order asked for.", json_content("SignedParts"))},
    "Chunks and parts may be mixed. A part all of whose chunks were accepted is those chunks, whatever else lands; any "
    "other part is what was put straight to S3, also where some of its chunks were sent too: S3 cannot compare them.",
    body=models.PartsBody,
    error_types=(
        *BODY_ERRORS,
        *UPLOAD_ERRORS,
        errors.UploadAlreadyComplete,
        errors.ChecksumUnsupported,
        errors.PartNumberOutOfRange,
        errors.ChunkConflict,
    ),
)
COMPLETE = Operation(
    "Complete an upload",
    {
        200: ResponseDoc("The finished file; the same when repeated.", json_content("File")),
        202: ResponseDoc("It is still being put together; ask again.", json_content("Completing"), ("Retry-After",)),
    },
    body=models.CompleteBody,
    error_types=(
        *BODY_ERRORS,
        *(kind for kind in UPLOAD_ERRORS if kind is not errors.CompletionInProgress),
        errors.UploadIncomplete,
        errors.ChecksumMismatch,
        errors.ChecksumUnsupported,
        errors.FileExists,
    ),
)
CANCEL = Operation(
    "Cancel the upload in progress of a name",
    {204: ResponseDoc("It is gone; the same when repeated. A finished file of that name is untouched.")},
    "Without `upload_id` it is whichever upload the name has by now.",
    (query_parameter("upload_id", {"type": "string"}, "The upload meant; another one is not touched."),),
    error_types=(
        *FILENAME_ERRORS,
        errors.UploadNotFound,
        errors.UploadSuperseded,
        errors.CompletionInProgress,
        errors.UploadAlreadyComplete,
    ),
)
DELETE_FILE = Operation(
    "Delete a finished file",
    {204: ResponseDoc("It is gone; downloads that have begun go on for a day.")},
    error_types=(*FILENAME_ERRORS, errors.FileNotFound),
)

_FILE_HEADERS = (
    "Accept-Ranges",
    "Cache-Control",
    "Content-Disposition",
    "Content-Length",
    "ETag",
    "Last-Modified",
    "Repr-Digest",
)
_CONDITION_HEADERS = (
    header_parameter("If-Match", "RFC 9110 section 13.1.1."),
    header_parameter("If-None-Match", "RFC 9110 section 13.1.2."),
    header_parameter("If-Modified-Since", "RFC 9110 section 13.1.3; best the `Last-Modified` that was told."),
    header_parameter("If-Unmodified-Since", "RFC 9110 section 13.1.4."),
)
_RANGE_HEADERS = (
    header_parameter("Range", "One range of bytes. None, a malformed one or several: the whole file."),
    header_parameter("If-Range", "RFC 9110 section 13.1.5."),
)
_REDIRECT_QUERY = query_parameter(
    "redirect", {"type": "boolean", "default": True}, "`false`: tell the URL, for clients that would send it the token."
)
_WHOLE_RESPONSE = ResponseDoc(
    "The bytes, up to 4 MiB; with `redirect=false`, where they are.",
    {"*/*": BINARY, JSON: ref("Link")},
    _FILE_HEADERS,
)
_REDIRECT_RESPONSE = ResponseDoc(
    "The bytes are at S3, under a presigned URL. Do not send the token there.", headers=("Location", "ETag")
)
_NOT_MODIFIED_RESPONSE = ResponseDoc("The file is the one the client has.", headers=("ETag", "Last-Modified"))
_READ_ERRORS: tuple[ErrorType, ...] = (*FILENAME_ERRORS, errors.FileNotFound, errors.PreconditionFailed)

DOWNLOAD = Operation(
    "Download a file, or a range of it",
    {
        200: _WHOLE_RESPONSE,
        206: ResponseDoc("The range, up to 4 MiB.", {"*/*": BINARY}, (*_FILE_HEADERS, "Content-Range")),
        304: _NOT_MODIFIED_RESPONSE,
        307: _REDIRECT_RESPONSE,
    },
    "Beyond 4 MiB S3 looks at the range and at the conditions once more, by the same ETag and date.",
    (_REDIRECT_QUERY, *_RANGE_HEADERS, *_CONDITION_HEADERS),
    error_types=(*_READ_ERRORS, errors.RangeNotSatisfiable),
)
_HEAD_RESPONSES = {
    200: ResponseDoc("The headers of the whole file.", headers=_FILE_HEADERS),
    304: _NOT_MODIFIED_RESPONSE,
}
HEAD = Operation(
    "The headers of a file",
    _HEAD_RESPONSES,
    "Range is ignored (RFC 9110 section 14.2).",
    _CONDITION_HEADERS,
    error_types=_READ_ERRORS,
)


def _or_file_named_partial(operation: Operation) -> Operation:
    """A path that is also that of a file called "partial"."""
    return replace(
        operation,
        description=f"{operation.description} Without `filename`: the file called `partial`.".strip(),
        parameters=(OPTIONAL_FILENAME_QUERY, *operation.parameters),
    )


_LONG_POLL_PARAMETERS = (
    query_parameter(
        "wait", {"type": "integer", "minimum": 1, "maximum": 20}, "With `since`: seconds to wait for something newer."
    ),
    query_parameter("since", INTEGER, "The `version` the client has."),
    header_parameter("If-None-Match", "The ETag of an earlier answer."),
)
_STATUS_NOT_MODIFIED_RESPONSE = ResponseDoc("Nothing has changed.", headers=("ETag",))
STATUS = Operation(
    "How far an upload is",
    {200: ResponseDoc("The status.", json_content("Status"), ("ETag",)), 304: _STATUS_NOT_MODIFIED_RESPONSE},
    parameters=_LONG_POLL_PARAMETERS,
    error_types=(*FILENAME_ERRORS, errors.NotFound),
)
STATUS_OR_LIST = Operation(
    "How far an upload is, or all uploads in progress",
    {
        200: ResponseDoc(
            "The status; without `filename`, the uploads in progress.",
            {JSON: {"oneOf": [ref("Status"), ref("Uploads")]}},
            ("ETag",),
        ),
        304: _STATUS_NOT_MODIFIED_RESPONSE,
    },
    parameters=(OPTIONAL_FILENAME_QUERY, *_LONG_POLL_PARAMETERS, CURSOR_QUERY, LIMIT_QUERY),
    error_types=(*FILENAME_ERRORS, errors.NotFound),
)
FILES = Operation(
    "The finished files, by name",
    {200: ResponseDoc("A page of them.", json_content("Files"))},
    parameters=(query_parameter("prefix", {"type": "string"}, "What the names begin with."), CURSOR_QUERY, LIMIT_QUERY),
    error_types=(errors.InvalidField,),
)
CLEANUP = Operation(
    "Clean up stale uploads",
    {200: ResponseDoc("What was done; `complete: false` and a `cursor` when there is more.", json_content("Cleanup"))},
    parameters=(
        query_parameter(
            "older_than",
            {"type": "integer", "minimum": 0},
            "Seconds since the last activity; without, what has expired.",
        ),
        OPTIONAL_FILENAME_QUERY,
        query_parameter("dry_run", {"type": "boolean", "default": False}, "Tell what would be done, and do nothing."),
        CURSOR_QUERY,
    ),
    error_types=FILENAME_ERRORS,
    description="Of this namespace. `orphans`, what S3 has and no row knows, have none: they are the schedule's, and 0 "
    "here. Any other parameter is refused, lest a dry run that was misspelt be a real one.",
)
JWKS = Operation(
    "The keys that tokens are verified with", {200: ResponseDoc("A JSON Web Key Set.", json_content("KeySet"))}
)
DOCUMENT = Operation("This document", {200: ResponseDoc("An OpenAPI document.", {JSON: {"type": "object"}})})
HEALTH = Operation("Whether the service answers", {200: ResponseDoc("It does.", json_content("Health"))})

_TOKEN_MEMBERS: Schema = {
    "type": "object",
    "properties": {
        "grant_type": enum_schema("client_credentials"),
        "client_id": {"type": "string"},
        "client_secret": {"type": "string"},
        "scope": {"type": "string", "description": "Space-separated; narrows what the client has."},
    },
    "required": ["grant_type"],
}
TOKEN = Operation(
    "Get an access token",
    {
        200: ResponseDoc("A token.", json_content("Token")),
        400: ResponseDoc("`invalid_request`, `unsupported_grant_type` or `invalid_scope`.", json_content("OAuthError")),
        401: ResponseDoc("`invalid_client`.", json_content("OAuthError"), ("WWW-Authenticate",)),
        413: ResponseDoc("`invalid_request`: the body is too large.", json_content("OAuthError")),
        500: ResponseDoc("`server_error`.", json_content("OAuthError")),
        503: ResponseDoc("`temporarily_unavailable`.", json_content("OAuthError"), ("Retry-After",)),
    },
    "OAuth 2.0 client credentials (RFC 6749 section 4.4), by HTTP Basic or in the body. Other members are ignored.",
    other_bodies={"application/x-www-form-urlencoded": _TOKEN_MEMBERS, JSON: _TOKEN_MEMBERS},
)

OPERATIONS: Mapping[str, Operation] = {
    "POST /auth/token": TOKEN,
    "GET /.well-known/jwks.json": JWKS,
    "GET /openapi.json": DOCUMENT,
    "GET /health": HEALTH,
    "POST /upload/start": START,
    "POST /upload/chunk": CHUNK,
    "POST /upload/parts": PARTS,
    "POST /upload/complete": COMPLETE,
    "DELETE /upload/{filename}": CANCEL,
    "DELETE /upload": CANCEL,
    "GET /download/{filename}": DOWNLOAD,
    "GET /download": DOWNLOAD,
    "HEAD /download/{filename}": HEAD,
    "HEAD /download": HEAD,
    "GET /download/partial/{filename}": DOWNLOAD,
    "GET /download/partial": _or_file_named_partial(DOWNLOAD),
    "HEAD /download/partial/{filename}": HEAD,
    "HEAD /download/partial": _or_file_named_partial(HEAD),
    "DELETE /files/{filename}": DELETE_FILE,
    "DELETE /files": DELETE_FILE,
    "GET /files": FILES,
    "GET /status/{filename}": STATUS,
    "GET /status": STATUS_OR_LIST,
    "DELETE /cleanup": CLEANUP,
}
