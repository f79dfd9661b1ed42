"""What the routes of the resumable protocols take and return: tus 1.0.0 and the IETF draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dev.openapi.link_routes import OPEN_LINK_ERRORS
from dev.openapi.operation import LINK_TOKEN_ERRORS, OCTET_STREAM, Operation, ResponseDoc
from dev.openapi.parameters import INTEGER, SECRET_PATH, TEXT, Parameter
from dev.openapi.schemas import Schema
from ferry import errors, link_errors
from ferry.http import request_errors
from ferry.http.limits import MAX_UPLOAD_ID_BYTES
from ferry.http.protocols import draft, tus

_PROTOCOLS = (
    "A creation with `Tus-Resumable` is tus 1.0.0, one with `Upload-Complete` is the IETF draft; an upload speaks the "
    "protocol that created it. Error statuses are those of the protocol: in tus a wrong checksum is a 460 and bytes "
    "beyond the length are a 413, and a taken name is a 403 `file_exists` in both."
)
_UPLOAD_ID_PATH = Parameter(
    "path",
    "upload_id",
    "The upload: the last segment of its URL.",
    {"type": "string", "minLength": 1, "maxLength": MAX_UPLOAD_ID_BYTES},
    "9f86d081884c7d659a2feaa0c55ad015",
    required=True,
)
_FILENAME = Parameter("query", "filename", "The name of the file; tus has it in `Upload-Metadata`.", TEXT)
_CONTENT_TYPE = Parameter("query", "content_type", "The media type of the file.", TEXT, "application/octet-stream")
_IF_EXISTS = Parameter(
    "query",
    "if_exists",
    "What to do when the name is taken.",
    {"type": "string", "enum": ["fail", "replace", "rename"], "default": "rename"},
)
_TUS = Parameter("header", "Tus-Resumable", "tus: `1.0.0`, in every request.", TEXT)
_DRAFT = Parameter("header", "Upload-Complete", "Draft: `?1` with the last bytes, `?0` with others.", TEXT)
_VERSION = Parameter("header", "Upload-Draft-Interop-Version", "Draft: the interop version of the client.", INTEGER)
_OFFSET = Parameter("header", "Upload-Offset", "Where the bytes of the body begin.", INTEGER)
_LENGTH = Parameter("header", "Upload-Length", "Bytes of the whole file.", INTEGER)
_DEFER = Parameter("header", "Upload-Defer-Length", "tus: `1`, if the length is not known yet.", TEXT)
_CHECKSUM = Parameter(
    "header",
    "Upload-Checksum",
    "tus: `sha1`, `md5`, `sha256`, `crc32` or `crc32c`, and the base64 of that digest of the body.",
    TEXT,
)
_DIGEST = Parameter("header", "Content-Digest", "Draft: the digest of the body (RFC 9530).", TEXT)
_METADATA = Parameter("header", "Upload-Metadata", "tus: keys, each with the base64 of its value.", TEXT)
_CONCAT = Parameter("header", "Upload-Concat", "tus: `partial`, or `final;` and the URLs of partial uploads.", TEXT)
_DISPOSITION = Parameter("header", "Content-Disposition", "Draft: the name of the file (RFC 6266).", TEXT)
_REPR_DIGEST = Parameter("header", "Repr-Digest", "Draft: the `crc32c` of the whole file (RFC 9530).", TEXT)
_OVERRIDE = Parameter("header", "X-HTTP-Method-Override", "`PATCH`, `HEAD` or `DELETE`.", TEXT, "PATCH", required=True)

_STATE_HEADERS = ("Upload-Offset", "Upload-Complete", "Upload-Limit", "Upload-Expires", "Tus-Resumable")
_BINARY: Schema = {"type": "string", "format": "binary"}
_BYTES = {OCTET_STREAM: _BINARY, tus.MEDIA_TYPE: _BINARY, draft.MEDIA_TYPE: _BINARY}
"""Bodies of creations and appends. The first one stands for any type, which the draft takes at creations, and before
interop version 6 at appends. Generators without support for ranges of types read it.
"""
_BODY_ERRORS = (
    request_errors.MalformedHeader,
    request_errors.VersionUnsupported,
    request_errors.BodyTooLarge,
    request_errors.UnsupportedMediaType,
    request_errors.BodyNotExact,
    errors.MalformedBody,
    errors.InvalidField,
    errors.ChunkTooLarge,
    errors.ChecksumMismatch,
    errors.ChecksumUnsupported,
    errors.InconsistentLength,
    errors.LengthTooLarge,
    errors.FileExists,
    errors.QuotaExceeded,
)
_BODY_STATUSES = (
    (400, errors.ChecksumUnsupported),
    (403, errors.FileExists),
    (413, errors.LengthExceeded),
    (460, errors.ChecksumMismatch),
)
_LIMIT_ERRORS = (link_errors.LinkUsedUp, link_errors.LinkLimit)
"""Errors of requests by a link whose limits leave no room."""

_UPLOAD_ERRORS = (
    errors.InvalidField,
    request_errors.MalformedHeader,
    request_errors.VersionUnsupported,
    errors.UploadNotFound,
    errors.UploadExpired,
)

_CAPABILITIES = Operation(
    "getUploadCapabilities",
    "resumable",
    "Get the capabilities of both protocols",
    {
        200: ResponseDoc(
            "The versions, extensions and limits.",
            headers=(
                "Tus-Version",
                "Tus-Extension",
                "Tus-Checksum-Algorithm",
                "Tus-Max-Size",
                "Tus-Resumable",
                "Upload-Limit",
            ),
        )
    },
)
_CREATE = Operation(
    "createUpload",
    "resumable",
    "Create an upload to append to",
    {
        201: ResponseDoc(
            "The upload, with the bytes of the body.", headers=("Location", "Ferry-Filename", *_STATE_HEADERS)
        )
    },
    f"{_PROTOCOLS} Up to 4 MiB of the file may be in the body: as `application/offset+octet-stream` in tus; in the "
    "draft as the type of the file, or as `application/partial-upload`.",
    (
        _FILENAME,
        _CONTENT_TYPE,
        _IF_EXISTS,
        _TUS,
        _DRAFT,
        _VERSION,
        _LENGTH,
        _DEFER,
        _METADATA,
        _CONCAT,
        _CHECKSUM,
        _DIGEST,
        _REPR_DIGEST,
        _DISPOSITION,
    ),
    other_bodies=_BYTES,
    error_types=(
        *_BODY_ERRORS,
        errors.InvalidFilename,
        errors.InvalidPartial,
        errors.FileNotFound,
        *_LIMIT_ERRORS,
        *LINK_TOKEN_ERRORS,
    ),
    other_statuses=_BODY_STATUSES,
)
_HEAD = Operation(
    "getUploadOffset",
    "resumable",
    "Get where an upload continues",
    {
        200: ResponseDoc(
            "tus: the offset and the length.", headers=("Upload-Length", "Ferry-Filename", *_STATE_HEADERS)
        ),
        204: ResponseDoc("Draft: the same.", headers=("Upload-Length", "Ferry-Filename", *_STATE_HEADERS)),
    },
    parameters=(_UPLOAD_ID_PATH, _TUS, _VERSION),
    error_types=(*_UPLOAD_ERRORS, *LINK_TOKEN_ERRORS),
)
_PATCH = Operation(
    "appendToUpload",
    "resumable",
    "Append bytes to an upload",
    {
        204: ResponseDoc("The bytes are durable.", headers=("Ferry-Filename", *_STATE_HEADERS)),
        200: ResponseDoc(
            "tus, with `X-HTTP-Method-Override: HEAD`: the offset and the length.",
            headers=("Upload-Length", "Ferry-Filename", *_STATE_HEADERS),
        ),
    },
    "At most 4 MiB, as `application/offset+octet-stream` in tus and as `application/partial-upload` in the draft, "
    "which takes any type before interop version 6. The last bytes make the file.",
    (_UPLOAD_ID_PATH, _TUS, _DRAFT, _VERSION, _OFFSET, _LENGTH, _CHECKSUM, _DIGEST),
    other_bodies=_BYTES,
    error_types=(
        *_BODY_ERRORS,
        errors.UploadNotFound,
        errors.UploadExpired,
        errors.OffsetMismatch,
        errors.CompletionInProgress,
        errors.FinalUploadFixed,
        *_LIMIT_ERRORS,
        *LINK_TOKEN_ERRORS,
    ),
    other_statuses=(*_BODY_STATUSES, (409, errors.InconsistentLength)),
)
_DELETE = Operation(
    "deleteUpload",
    "resumable",
    "Delete an upload",
    {
        204: ResponseDoc(
            "The upload is gone. The file of a complete one stays.", headers=("Ferry-Filename", "Tus-Resumable")
        )
    },
    parameters=(_UPLOAD_ID_PATH, _TUS),
    error_types=(*_UPLOAD_ERRORS, errors.CompletionInProgress, *LINK_TOKEN_ERRORS),
)
_OVERRIDDEN = replace(
    _PATCH,
    operation_id="overrideUploadMethod",
    summary="Send PATCH, HEAD or DELETE as POST",
    description="For clients that cannot send these methods.",
    parameters=(_OVERRIDE, *_PATCH.parameters),
    responses={**_PATCH.responses, **_HEAD.responses, 204: _PATCH.responses[204]},
)

_BY_LINK = (
    "Names and `Ferry-Filename` are relative to the folder of the link. A taken name is stepped over; "
    "`if_exists=replace` is a 422."
)


def _by_link(operation: Operation, *, description: str = "") -> Operation:
    """Return an operation below the address of a link, which needs no token."""
    return replace(
        operation,
        operation_id=f"{operation.operation_id}ByLink",
        tag="links",
        summary=f"{operation.summary}, by a link without a password",
        description=f"{operation.description} {description}".strip(),
        parameters=(SECRET_PATH, *operation.parameters),
        error_types=(*operation.error_types, *OPEN_LINK_ERRORS) if operation.error_types else (),
    )


_OPERATIONS: Mapping[str, Operation] = {
    "OPTIONS /uploads": _CAPABILITIES,
    "OPTIONS /uploads/{upload_id}": replace(
        _CAPABILITIES, operation_id="getCapabilitiesOfUpload", parameters=(_UPLOAD_ID_PATH,)
    ),
    "POST /uploads": _CREATE,
    "GET /uploads/{upload_id}": _HEAD,
    "HEAD /uploads/{upload_id}": _HEAD.head(),
    "PATCH /uploads/{upload_id}": _PATCH,
    "DELETE /uploads/{upload_id}": _DELETE,
    "POST /uploads/{upload_id}": _OVERRIDDEN,
}


def _path_by_link(key: str) -> str:
    method, _, path = key.partition(" ")
    return f"{method} /l/{{secret}}{path}"


RESUMABLE_OPERATIONS: Mapping[str, Operation] = {
    **_OPERATIONS,
    **{
        _path_by_link(key): _by_link(operation, description=_BY_LINK if operation is _CREATE else "")
        for key, operation in _OPERATIONS.items()
    },
}
"""The operations of the resumable function."""
