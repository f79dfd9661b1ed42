"""What each route takes and answers. Statuses of refusals come from the table of errors, scopes from the functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import BaseModel

from ferry import errors
from ferry.http import models, refusals
from tools.schemas import Schema, one_of, ref

Error = type[errors.FerryError]
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One route. `answers` maps a status to what it says and its media types; `parameters` are ready-made."""

    summary: str
    answers: Mapping[int, Answer]
    description: str = ""
    parameters: tuple[Schema, ...] = ()
    body: type[BaseModel] | None = None
    other_bodies: Mapping[str, Schema] = field(default_factory=dict)
    refusals: tuple[Error, ...] = ()


@dataclass(frozen=True)
class Answer:
    text: str
    content: Mapping[str, Schema] = field(default_factory=dict)
    headers: tuple[str, ...] = ()


def query(name: str, schema: Schema, text: str, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "description": text, "schema": schema}


def header(name: str, text: str) -> Schema:
    return {"name": name, "in": "header", "required": False, "description": text, "schema": {"type": "string"}}


def json(name: str) -> Mapping[str, Schema]:
    return {JSON: ref(name)}


INTEGER: Schema = {"type": "integer"}
BINARY: Schema = {"type": "string", "format": "binary"}
PATH_NAME: Schema = {
    "name": "filename",
    "in": "path",
    "required": True,
    "description": "Percent-encoded once. Use `?filename=` on the path without it for names that a gateway may mangle.",
    "schema": {"type": "string"},
}
QUERY_NAME = query("filename", {"type": "string"}, "The name, percent-encoded once.", required=True)
OPTIONAL_NAME = query("filename", {"type": "string"}, "The name, percent-encoded once.")
CURSOR = query("cursor", {"type": "string"}, "As the page before gave it.")
LIMIT = query("limit", {"type": "integer", "minimum": 1, "default": 50}, "The most items of a page; it may have fewer.")

BODY: tuple[Error, ...] = (
    errors.MalformedBody,
    errors.InvalidField,
    errors.InvalidFilename,
    refusals.BodyTooLarge,
    refusals.UnsupportedMediaType,
)
NAME: tuple[Error, ...] = (errors.InvalidField, errors.InvalidFilename)
SESSION: tuple[Error, ...] = (
    errors.UploadNotFound,
    errors.UploadSuperseded,
    errors.UploadExpired,
    errors.UploadCancelled,
    errors.UploadCompleting,
)

START = Operation(
    "Start an upload, or go on with it",
    {
        201: Answer("A new upload.", json("Plan")),
        200: Answer(
            "The open upload of that name, and what is there already; or the file, if this very one is there.",
            {JSON: {"oneOf": [ref("Plan"), ref("AlreadyComplete")]}},
        ),
    },
    "An open upload with the same size, checksum and fingerprint is resumed; absent on both sides counts as the same.",
    body=models.StartBody,
    refusals=(
        *BODY,
        errors.ChecksumUnsupported,
        errors.UploadInProgress,
        errors.UploadCompleting,
        errors.FileExists,
        errors.QuotaExceeded,
    ),
)
CHUNK = Operation(
    "Send a chunk",
    {200: Answer("The chunk's bytes are durable.", json("ChunkAccepted"))},
    "As JSON, or raw with the query parameters; a body without a Content-Type is taken for JSON. At most 4 MiB.",
    (
        query("filename", {"type": "string"}, "Raw form only, and required there."),
        query("chunk_index", INTEGER, "Raw form only, and required there; from 1."),
        query("upload_id", {"type": "string"}, "Raw form only."),
        header(
            "Content-Digest", "Raw form only (RFC 9530): sha-256, sha-512, md5. Verified before anything is stored."
        ),
    ),
    models.ChunkBody,
    {"application/octet-stream": BINARY},
    (
        *(kind for kind in BODY if kind is not refusals.BodyTooLarge),
        *SESSION,
        errors.UploadComplete,
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
    {200: Answer("A presigned PUT for each part, in the order asked for.", json("SignedParts"))},
    "Chunks and parts may be mixed. A part all of whose chunks were accepted is those chunks, whatever else lands; any "
    "other part is what was put straight to S3, also where some of its chunks were sent too: S3 cannot compare them.",
    body=models.PartsBody,
    refusals=(
        *BODY,
        *SESSION,
        errors.UploadComplete,
        errors.ChecksumUnsupported,
        errors.PartNumberOutOfRange,
        errors.ChunkConflict,
    ),
)
COMPLETE = Operation(
    "Complete an upload",
    {
        200: Answer("The finished file; the same when repeated.", json("File")),
        202: Answer("It is still being put together; ask again.", json("Completing"), ("Retry-After",)),
    },
    body=models.CompleteBody,
    refusals=(
        *BODY,
        *(kind for kind in SESSION if kind is not errors.UploadCompleting),
        errors.UploadIncomplete,
        errors.ChecksumMismatch,
        errors.ChecksumUnsupported,
        errors.FileExists,
    ),
)
CANCEL = Operation(
    "Cancel the upload in progress of a name",
    {204: Answer("It is gone; the same when repeated. A finished file of that name is untouched.")},
    "Without `upload_id` it is whichever upload the name has by now.",
    (query("upload_id", {"type": "string"}, "The upload meant; another one is not touched."),),
    refusals=(*NAME, errors.UploadNotFound, errors.UploadSuperseded, errors.UploadCompleting, errors.UploadComplete),
)
DELETE_FILE = Operation(
    "Delete a finished file",
    {204: Answer("It is gone; downloads that have begun go on for a day.")},
    refusals=(*NAME, errors.FileNotFound),
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
_CONDITIONS = (
    header("If-Match", "RFC 9110 section 13.1.1."),
    header("If-None-Match", "RFC 9110 section 13.1.2."),
    header("If-Modified-Since", "RFC 9110 section 13.1.3; best the `Last-Modified` that was told."),
    header("If-Unmodified-Since", "RFC 9110 section 13.1.4."),
)
_RANGE = (
    header("Range", "One range of bytes. None, a malformed one or several: the whole file."),
    header("If-Range", "RFC 9110 section 13.1.5."),
)
_REDIRECT = query(
    "redirect", {"type": "boolean", "default": True}, "`false`: tell the URL, for clients that would send it the token."
)
_WHOLE = Answer(
    "The bytes, up to 4 MiB; with `redirect=false`, where they are.",
    {"*/*": BINARY, JSON: ref("Link")},
    _FILE_HEADERS,
)
_MOVED = Answer(
    "The bytes are at S3, under a presigned URL. Do not send the token there.", headers=("Location", "ETag")
)
_UNCHANGED = Answer("The file is the one the client has.", headers=("ETag", "Last-Modified"))
_READ: tuple[Error, ...] = (*NAME, errors.FileNotFound, errors.PreconditionFailed)

DOWNLOAD = Operation(
    "Download a file, or a range of it",
    {
        200: _WHOLE,
        206: Answer("The range, up to 4 MiB.", {"*/*": BINARY}, (*_FILE_HEADERS, "Content-Range")),
        304: _UNCHANGED,
        307: _MOVED,
    },
    "Beyond 4 MiB S3 looks at the range and at the conditions once more, by the same ETag and date.",
    (_REDIRECT, *_RANGE, *_CONDITIONS),
    refusals=(*_READ, errors.RangeNotSatisfiable),
)
_HEADERS_ONLY = {200: Answer("The headers of the whole file.", headers=_FILE_HEADERS), 304: _UNCHANGED}
HEAD = Operation(
    "The headers of a file", _HEADERS_ONLY, "Range is ignored (RFC 9110 section 14.2).", _CONDITIONS, refusals=_READ
)


def _or_file_named_partial(operation: Operation) -> Operation:
    """A path that is also that of a file called "partial"."""
    return replace(
        operation,
        description=f"{operation.description} Without `filename`: the file called `partial`.".strip(),
        parameters=(OPTIONAL_NAME, *operation.parameters),
    )


_WAIT = (
    query(
        "wait", {"type": "integer", "minimum": 1, "maximum": 20}, "With `since`: seconds to wait for something newer."
    ),
    query("since", INTEGER, "The `version` the client has."),
    header("If-None-Match", "The ETag of an earlier answer."),
)
_STATUS_UNCHANGED = Answer("Nothing has changed.", headers=("ETag",))
STATUS = Operation(
    "How far an upload is",
    {200: Answer("The status.", json("Status"), ("ETag",)), 304: _STATUS_UNCHANGED},
    parameters=_WAIT,
    refusals=(*NAME, errors.NotFound),
)
STATUS_OR_LIST = Operation(
    "How far an upload is, or all uploads in progress",
    {
        200: Answer(
            "The status; without `filename`, the uploads in progress.",
            {JSON: {"oneOf": [ref("Status"), ref("Uploads")]}},
            ("ETag",),
        ),
        304: _STATUS_UNCHANGED,
    },
    parameters=(OPTIONAL_NAME, *_WAIT, CURSOR, LIMIT),
    refusals=(*NAME, errors.NotFound),
)
FILES = Operation(
    "The finished files, by name",
    {200: Answer("A page of them.", json("Files"))},
    parameters=(query("prefix", {"type": "string"}, "What the names begin with."), CURSOR, LIMIT),
    refusals=(errors.InvalidField,),
)
CLEANUP = Operation(
    "Clean up stale uploads",
    {200: Answer("What was done; `complete: false` and a `cursor` when there is more.", json("Cleanup"))},
    parameters=(
        query(
            "older_than",
            {"type": "integer", "minimum": 0},
            "Seconds since the last activity; without, what has expired.",
        ),
        OPTIONAL_NAME,
        query("dry_run", {"type": "boolean", "default": False}, "Tell what would be done, and do nothing."),
        CURSOR,
    ),
    refusals=NAME,
    description="Of this namespace. `orphans`, what S3 has and no row knows, have none: they are the schedule's, and 0 "
    "here. Any other parameter is refused, lest a dry run that was misspelt be a real one.",
)
JWKS = Operation("The keys that tokens are verified with", {200: Answer("A JSON Web Key Set.", json("KeySet"))})
DOCUMENT = Operation("This document", {200: Answer("An OpenAPI document.", {JSON: {"type": "object"}})})
HEALTH = Operation("Whether the service answers", {200: Answer("It does.", json("Health"))})

_TOKEN_MEMBERS: Schema = {
    "type": "object",
    "properties": {
        "grant_type": one_of("client_credentials"),
        "client_id": {"type": "string"},
        "client_secret": {"type": "string"},
        "scope": {"type": "string", "description": "Space-separated; narrows what the client has."},
    },
    "required": ["grant_type"],
}
TOKEN = Operation(
    "Get an access token",
    {
        200: Answer("A token.", json("Token")),
        400: Answer("`invalid_request`, `unsupported_grant_type` or `invalid_scope`.", json("OAuthError")),
        401: Answer("`invalid_client`.", json("OAuthError"), ("WWW-Authenticate",)),
        413: Answer("`invalid_request`: the body is too large.", json("OAuthError")),
        500: Answer("`server_error`.", json("OAuthError")),
        503: Answer("`temporarily_unavailable`.", json("OAuthError"), ("Retry-After",)),
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
