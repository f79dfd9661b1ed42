"""What each route takes and returns. Statuses of errors come from `ferry.http.problems`, scopes from the functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dev.openapi import examples
from dev.openapi.download_routes import DOWNLOAD, DOWNLOAD_RANGE, HEAD, HEAD_RANGE
from dev.openapi.file_routes import FILE_OPERATIONS
from dev.openapi.link_routes import LINK_OPERATIONS
from dev.openapi.operation import (
    BODY_ERRORS,
    FILENAME_ERRORS,
    LINK_TOKEN_ERRORS,
    OCTET_STREAM,
    ErrorType,
    Operation,
    ResponseDoc,
)
from dev.openapi.parameters import (
    CHUNK_PARAMETERS,
    CLEANUP_PARAMETERS,
    CURSOR_QUERY,
    FILENAME_PATH,
    LIMIT_QUERY,
    LONG_POLL_PARAMETERS,
    OPTIONAL_FILENAME_QUERY,
    STATUS_UPLOAD_ID_QUERY,
    UPLOAD_ID_QUERY,
)
from dev.openapi.resumable_routes import RESUMABLE_OPERATIONS
from dev.openapi.schemas import reference
from ferry import errors, link_errors
from ferry.http import request_errors
from ferry.http.models.chunks import ChunkBody
from ferry.http.models.completions import CompleteBody
from ferry.http.models.parts import PartsBody
from ferry.http.models.start import StartBody
from ferry.http.responses.chunks import ChunkProgress
from ferry.http.responses.cleanup import CleanupBody
from ferry.http.responses.completions import CompletionPending
from ferry.http.responses.existing_files import ExistingFile
from ferry.http.responses.files import FileBody
from ferry.http.responses.health import Health
from ferry.http.responses.keys import JsonWebKeySet
from ferry.http.responses.lists import UploadList
from ferry.http.responses.parts import SignedParts
from ferry.http.responses.plans import UploadPlan
from ferry.http.responses.status import StatusBody
from ferry.http.responses.tokens import AccessToken, OAuthErrorBody

UPLOAD_ERRORS: tuple[ErrorType, ...] = (
    errors.UploadNotFound,
    errors.UploadSuperseded,
    errors.UploadIdRequired,
    errors.UploadExpired,
    errors.UploadCancelled,
    errors.CompletionInProgress,
)

START = Operation(
    "startUpload",
    "uploads",
    "Start or resume an upload",
    {
        201: ResponseDoc("A new upload.", UploadPlan, examples.PLAN),
        200: ResponseDoc(
            "The open upload of that name with what has arrived; or the finished file, if it is the same.",
            UploadPlan | ExistingFile,
            examples.EXISTING_FILE,
        ),
    },
    "An open upload with the same size, checksum and fingerprint is resumed. Where neither side has a checksum or a "
    "fingerprint, it is resumed with `resume: true`; without, only while nothing has been received, and the completion "
    "then requires the checksum of the whole file. `restart: true` cancels the open upload and starts a new one.",
    body=StartBody,
    body_example=examples.START,
    error_types=(
        *BODY_ERRORS,
        errors.ChecksumUnsupported,
        errors.UploadInProgress,
        errors.CompletionInProgress,
        errors.FileExists,
        errors.QuotaExceeded,
        *LINK_TOKEN_ERRORS,
        link_errors.LinkUsedUp,
        link_errors.LinkLimit,
        errors.FileNotFound,
    ),
)
CHUNK = Operation(
    "sendChunk",
    "uploads",
    "Send a chunk",
    {200: ResponseDoc("The bytes of the chunk are durable.", ChunkProgress, examples.CHUNK_PROGRESS)},
    "Send JSON; or the raw bytes as `application/octet-stream`, with `filename` and `chunk_index` in the query. A body "
    "without a Content-Type is raw where the query has both, else JSON. A chunk has at most 4 MiB.",
    CHUNK_PARAMETERS,
    ChunkBody,
    examples.CHUNK,
    {OCTET_STREAM: {"type": "string", "format": "binary"}},
    (
        *(kind for kind in BODY_ERRORS if kind is not request_errors.BodyTooLarge),
        request_errors.BodyNotExact,
        *UPLOAD_ERRORS,
        errors.UploadAlreadyComplete,
        errors.ChecksumMismatch,
        errors.ChecksumUnsupported,
        errors.ChunkTooLarge,
        errors.ChunkSizeMismatch,
        errors.ChunkIndexOutOfRange,
        errors.ChunksUnavailable,
        errors.ChunkConflict,
        *LINK_TOKEN_ERRORS,
        errors.FileNotFound,
    ),
)
PARTS = Operation(
    "presignParts",
    "uploads",
    "Presign parts that are sent straight to S3",
    {200: ResponseDoc("A presigned PUT for each part, in the order of the request.", SignedParts, examples.PARTS)},
    "An upload may use chunks and parts together. A part whose chunks have all been accepted consists of those chunks, "
    "whatever is sent to S3 for it later. Any other part is what was sent to S3, even where some of its chunks were "
    "accepted too: S3 cannot compare them.",
    body=PartsBody,
    body_example=examples.PARTS_TO_SIGN,
    error_types=(
        *BODY_ERRORS,
        *UPLOAD_ERRORS,
        errors.UploadAlreadyComplete,
        errors.ChecksumUnsupported,
        errors.PartNumberOutOfRange,
        errors.ChunkConflict,
        *LINK_TOKEN_ERRORS,
        errors.FileNotFound,
    ),
)
COMPLETE = Operation(
    "completeUpload",
    "uploads",
    "Complete an upload",
    {
        200: ResponseDoc("The finished file; the same when repeated.", FileBody, examples.FILE),
        202: ResponseDoc(
            "The file is not finished yet; Ferry continues. Send the request again.",
            CompletionPending,
            examples.COMPLETION_PENDING,
            headers=("Retry-After",),
        ),
    },
    body=CompleteBody,
    body_example=examples.COMPLETE,
    error_types=(
        *BODY_ERRORS,
        *(kind for kind in UPLOAD_ERRORS if kind is not errors.CompletionInProgress),
        errors.UploadIncomplete,
        errors.ChecksumMismatch,
        errors.ChecksumRequired,
        errors.ChecksumUnsupported,
        errors.FileExists,
        errors.PreconditionFailed,
        *LINK_TOKEN_ERRORS,
        link_errors.LinkUsedUp,
        link_errors.LinkLimit,
        errors.FileNotFound,
    ),
)
CANCEL = Operation(
    "cancelUpload",
    "uploads",
    "Cancel the upload in progress of a name",
    {204: ResponseDoc("The upload is cancelled; the same when repeated. A finished file of that name is unchanged.")},
    parameters=(FILENAME_PATH, UPLOAD_ID_QUERY),
    error_types=(
        *FILENAME_ERRORS,
        errors.UploadNotFound,
        errors.UploadSuperseded,
        errors.UploadIdRequired,
        errors.CompletionInProgress,
        errors.UploadAlreadyComplete,
        *LINK_TOKEN_ERRORS,
        errors.FileNotFound,
    ),
)

_UNCHANGED = ResponseDoc("The client has the current status.", headers=("ETag", "Vary"))
STATUS = Operation(
    "getStatus",
    "status",
    "Get the status of an upload",
    {200: ResponseDoc("The status.", StatusBody, examples.STATUS, headers=("ETag", "Vary")), 304: _UNCHANGED},
    parameters=(FILENAME_PATH, STATUS_UPLOAD_ID_QUERY, *LONG_POLL_PARAMETERS),
    error_types=(*FILENAME_ERRORS, errors.NotFound, errors.UploadNotFound, *LINK_TOKEN_ERRORS),
)
STATUS_OR_LIST = Operation(
    "getStatusByQueryOrListUploads",
    "status",
    "Get the status of an upload, or list the uploads in progress",
    {
        200: ResponseDoc(
            "The status; without `filename`, a page of the uploads in progress.",
            StatusBody | UploadList,
            examples.UPLOADS,
            headers=("ETag", "Vary"),
        ),
        304: _UNCHANGED,
    },
    parameters=(OPTIONAL_FILENAME_QUERY, STATUS_UPLOAD_ID_QUERY, *LONG_POLL_PARAMETERS, CURSOR_QUERY, LIMIT_QUERY),
    error_types=(
        *FILENAME_ERRORS,
        errors.NotFound,
        errors.UploadNotFound,
        *LINK_TOKEN_ERRORS,
        link_errors.LinkForbidden,
    ),
)
CLEANUP = Operation(
    "cleanUp",
    "cleanup",
    "Clean up stale uploads",
    {200: ResponseDoc("What the cleanup did.", CleanupBody, examples.CLEANUP)},
    "Ends stale uploads of the namespace and deletes their chunks. `complete: false` and a `cursor` mean that there is "
    "more. Unknown parameters are rejected, so that a mistyped `dry_run` cannot delete data.",
    CLEANUP_PARAMETERS,
    error_types=FILENAME_ERRORS,
)
KEYS = Operation(
    "getPublicKeys",
    "auth",
    "Get the keys that verify access tokens",
    {200: ResponseDoc("A JSON Web Key Set.", JsonWebKeySet, examples.KEYS, headers=("Cache-Control", "Vary"))},
)
DOCUMENT = Operation(
    "getOpenApiDocument",
    "service",
    "Get this document",
    {200: ResponseDoc("An OpenAPI document.", dict[str, Any], headers=("Cache-Control", "Vary"))},
)
HEALTH = Operation(
    "getHealth", "service", "Check that the service responds", {200: ResponseDoc("It does.", Health, examples.HEALTH)}
)


def _oauth_error(code: str, description: str, *headers: str) -> ResponseDoc:
    return ResponseDoc(f"`{code}`: {description}", OAuthErrorBody, OAuthErrorBody(code, description), headers=headers)


TOKEN = Operation(
    "issueToken",
    "auth",
    "Get an access token",
    {
        200: ResponseDoc("A token.", AccessToken, examples.TOKEN),
        400: ResponseDoc(
            "`invalid_request`, `unsupported_grant_type` or `invalid_scope`.",
            OAuthErrorBody,
            OAuthErrorBody("invalid_scope", "The scope is malformed, or more than this client has."),
        ),
        401: _oauth_error("invalid_client", "client authentication failed", "WWW-Authenticate"),
        413: _oauth_error("invalid_request", "the body is too large"),
        500: _oauth_error("server_error", "internal error"),
        503: _oauth_error("temporarily_unavailable", "try again", "Retry-After"),
    },
    "OAuth 2.0 client credentials (RFC 6749 section 4.4), with HTTP Basic or in the body. Unknown members are ignored. "
    "A request without a body is a 400.",
    # openapi-python-client 0.29 imports `Unset` for bodies that are not required only, and uses it where there are two.
    is_body_required=False,
    other_bodies={
        "application/x-www-form-urlencoded": reference("TokenForm"),
        "application/json": reference("TokenRequest"),
    },
)

OPERATIONS: Mapping[str, Operation] = {
    "POST /auth/token": TOKEN,
    "GET /.well-known/jwks.json": KEYS,
    "HEAD /.well-known/jwks.json": KEYS.head(),
    "GET /openapi.json": DOCUMENT,
    "HEAD /openapi.json": DOCUMENT.head(),
    "GET /health": HEALTH,
    "HEAD /health": HEALTH.head(),
    "POST /upload/start": START,
    "POST /upload/chunk": CHUNK,
    "POST /upload/parts": PARTS,
    "POST /upload/complete": COMPLETE,
    "DELETE /upload/{filename+}": CANCEL,
    "DELETE /upload": CANCEL.by_query(),
    "GET /download/{filename+}": DOWNLOAD,
    "GET /download": DOWNLOAD.by_query(),
    "HEAD /download/{filename+}": HEAD,
    "HEAD /download": HEAD.by_query(),
    "GET /download/partial/{filename+}": DOWNLOAD_RANGE,
    "GET /download/partial": DOWNLOAD_RANGE.by_optional_query(),
    "HEAD /download/partial/{filename+}": HEAD_RANGE,
    "HEAD /download/partial": HEAD_RANGE.by_optional_query(),
    **FILE_OPERATIONS,
    **LINK_OPERATIONS,
    **RESUMABLE_OPERATIONS,
    "GET /status/{filename+}": STATUS,
    "HEAD /status/{filename+}": STATUS.head(),
    "GET /status": STATUS_OR_LIST,
    "HEAD /status": STATUS_OR_LIST.head(),
    "DELETE /cleanup": CLEANUP,
}
