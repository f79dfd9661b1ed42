"""What the routes that download files take and return."""

from __future__ import annotations

from dataclasses import replace

from dev.openapi import examples
from dev.openapi.operation import FILENAME_ERRORS, LINK_TOKEN_ERRORS, ErrorType, Operation, ResponseDoc
from dev.openapi.parameters import (
    CONDITION_PARAMETERS,
    DISPOSITION_QUERY,
    FILENAME_PATH,
    RANGE_PARAMETERS,
    REDIRECT_QUERY,
)
from ferry import errors, link_errors
from ferry.http import request_errors
from ferry.http.responses.downloads import DownloadLink

_FILE_HEADERS = (
    "Accept-Ranges",
    "Cache-Control",
    "Content-Disposition",
    "Content-Length",
    "Cross-Origin-Resource-Policy",
    "ETag",
    "Ferry-Size",
    "Last-Modified",
    "Repr-Digest",
    "Vary",
)
_NOT_MODIFIED = ResponseDoc("The client has the current file.", headers=("ETag", "Last-Modified", "Vary"))
_READ_ERRORS: tuple[ErrorType, ...] = (
    *FILENAME_ERRORS,
    errors.FileNotFound,
    errors.PreconditionFailed,
    request_errors.DestinationForbidden,
    *LINK_TOKEN_ERRORS,
    link_errors.LinkUsedUp,
    link_errors.PrefetchForbidden,
)

DOWNLOAD = Operation(
    "downloadFile",
    "downloads",
    "Download a file, or a range of it",
    {
        200: ResponseDoc(
            "The bytes of the file, up to 4 MiB, with the file's own Content-Type; with `redirect=false`, a URL.",
            DownloadLink,
            examples.LINK,
            binary=True,
            headers=_FILE_HEADERS,
        ),
        206: ResponseDoc("The range, up to 4 MiB.", binary=True, headers=(*_FILE_HEADERS, "Content-Range")),
        304: _NOT_MODIFIED,
        307: ResponseDoc(
            "S3 sends the bytes, from a presigned URL. Do not send the access token there.",
            headers=("Location", "Cache-Control"),
        ),
    },
    "Beyond 4 MiB, S3 evaluates the range and the conditions again, with the same entity tag. A date alone is a 412 "
    "where S3 has another one.",
    (FILENAME_PATH, REDIRECT_QUERY, DISPOSITION_QUERY, *RANGE_PARAMETERS, *CONDITION_PARAMETERS),
    error_types=(*_READ_ERRORS, errors.RangeNotSatisfiable),
)
HEAD = Operation(
    "getFileHeaders",
    "downloads",
    "Get the headers of a file",
    {200: ResponseDoc("The headers of the whole file.", headers=_FILE_HEADERS), 304: _NOT_MODIFIED},
    "Range is ignored (RFC 9110 section 14.2).",
    (FILENAME_PATH, DISPOSITION_QUERY, *CONDITION_PARAMETERS),
    error_types=_READ_ERRORS,
)
DOWNLOAD_RANGE = replace(DOWNLOAD, operation_id="downloadRange")
HEAD_RANGE = replace(HEAD, operation_id="getRangeHeaders")
