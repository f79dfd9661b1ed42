"""What the routes of finished files take and return."""

from __future__ import annotations

from collections.abc import Mapping

from dev.openapi import examples
from dev.openapi.file_change_routes import DELETE_FILES, MOVE_FILE, RESTORE_FILE
from dev.openapi.operation import BODY_ERRORS, FILENAME_ERRORS, LINK_TOKEN_ERRORS, OCTET_STREAM, Operation, ResponseDoc
from dev.openapi.parameters import (
    CHANGE_CONDITION_PARAMETERS,
    CONTENT_TYPE_QUERY,
    CURSOR_QUERY,
    DELETED_QUERY,
    DELIMITER_QUERY,
    DIGEST_PARAMETERS,
    FILE_LIMIT_QUERY,
    FILENAME_PATH,
    METADATA_PARAMETER,
    OPTIONAL_FILENAME_QUERY,
    PREFIX_QUERY,
    RECORD_CONDITION_PARAMETERS,
    REPR_DIGEST_PARAMETER,
)
from ferry import errors, link_errors
from ferry.http import request_errors
from ferry.http.models.files import FilePatchBody
from ferry.http.responses.file_lists import DeletedFileList, FileList
from ferry.http.responses.files import FileBody
from ferry.http.responses.usage import Usage

_STORED_HEADERS = ("ETag", "Last-Modified", "Repr-Digest")
_UNCHANGED = ResponseDoc("The client has the current record.", headers=("ETag", "Vary"))

PUT_FILE = Operation(
    "putFile",
    "files",
    "Store a file of up to 4 MiB in one request",
    {
        201: ResponseDoc("The file is stored; its name is new.", FileBody, examples.FILE, headers=_STORED_HEADERS),
        200: ResponseDoc(
            "The file is stored, in place of the one that the name had.",
            FileBody,
            examples.FILE,
            headers=_STORED_HEADERS,
        ),
    },
    "The body is the file. Its Content-Type becomes the type of the file, unless the query has `content_type`. A "
    "gateway passes `text/*`, `application/json`, `application/xml` and `application/javascript` on as text: such a "
    "body must be UTF-8. A file of that name is replaced, unless a condition forbids it; an upload in progress of that "
    "name is not touched.",
    (
        FILENAME_PATH,
        CONTENT_TYPE_QUERY,
        METADATA_PARAMETER,
        *DIGEST_PARAMETERS,
        REPR_DIGEST_PARAMETER,
        *CHANGE_CONDITION_PARAMETERS,
    ),
    other_bodies={OCTET_STREAM: {"type": "string", "format": "binary"}},
    is_body_required=False,
    error_types=(
        *BODY_ERRORS,
        request_errors.BodyNotExact,
        request_errors.NotAWholeFile,
        errors.ChecksumMismatch,
        errors.ChecksumUnsupported,
        errors.PreconditionFailed,
        errors.QuotaExceeded,
    ),
)
GET_FILE = Operation(
    "getFileRecord",
    "files",
    "Get the record of a file",
    {
        200: ResponseDoc(
            "The record. Its entity tag is not the content's: it changes with every change of the record, too.",
            FileBody,
            examples.FILE,
            headers=("ETag", "Last-Modified", "Vary"),
        ),
        304: _UNCHANGED,
    },
    parameters=(FILENAME_PATH, *RECORD_CONDITION_PARAMETERS),
    error_types=(*FILENAME_ERRORS, errors.FileNotFound, errors.PreconditionFailed, *LINK_TOKEN_ERRORS),
)
GET_OR_LIST_FILES = Operation(
    "listFiles",
    "files",
    "List the finished files or the deleted ones, or get the record of one",
    {
        200: ResponseDoc(
            "A page of files and folders; with `deleted`, of the files that can be restored; with `filename`, the "
            "record of that file.",
            FileList | DeletedFileList | FileBody,
            examples.FILES,
            headers=("ETag", "Last-Modified", "Vary"),
        ),
        304: _UNCHANGED,
    },
    "The order is that of the names' UTF-8 bytes, across files and folders; within a name the last deleted file "
    "comes first. What exists throughout a listing is on exactly one of its pages.",
    (
        OPTIONAL_FILENAME_QUERY,
        PREFIX_QUERY,
        DELIMITER_QUERY,
        DELETED_QUERY,
        CURSOR_QUERY,
        FILE_LIMIT_QUERY,
        *RECORD_CONDITION_PARAMETERS,
    ),
    error_types=(
        *FILENAME_ERRORS,
        errors.FileNotFound,
        errors.PreconditionFailed,
        *LINK_TOKEN_ERRORS,
        link_errors.LinkForbidden,
    ),
)
CHANGE_FILE = Operation(
    "changeFile",
    "files",
    "Change the type or the metadata of a file",
    {200: ResponseDoc("The changed record.", FileBody, examples.FILE, headers=("ETag",))},
    "The body is a merge patch (RFC 7396). Downloads have the new type afterwards.",
    (FILENAME_PATH, *CHANGE_CONDITION_PARAMETERS),
    FilePatchBody,
    examples.FILE_PATCH,
    error_types=(*BODY_ERRORS, errors.FileNotFound, errors.PreconditionFailed),
)
DELETE_FILE = Operation(
    "deleteFile",
    "files",
    "Delete a finished file",
    {204: ResponseDoc("The file is deleted. Downloads in progress continue for a day.")},
    parameters=(FILENAME_PATH, *CHANGE_CONDITION_PARAMETERS),
    error_types=(*FILENAME_ERRORS, errors.FileNotFound, errors.PreconditionFailed),
)
USAGE = Operation(
    "getUsage",
    "files",
    "Get the limits of the namespace, and what is used of them",
    {200: ResponseDoc("The limits and the usage; no members without limits.", Usage, examples.USAGE)},
)

FILE_OPERATIONS: Mapping[str, Operation] = {
    "PUT /files/{filename+}": PUT_FILE,
    "PUT /files": PUT_FILE.by_query(),
    "GET /files/{filename+}": GET_FILE,
    "HEAD /files/{filename+}": GET_FILE.head(),
    "PATCH /files/{filename+}": CHANGE_FILE,
    "PATCH /files": CHANGE_FILE.by_query(),
    "DELETE /files/{filename+}": DELETE_FILE,
    "DELETE /files": DELETE_FILE.by_query(),
    "GET /files": GET_OR_LIST_FILES,
    "HEAD /files": GET_OR_LIST_FILES.head(),
    "POST /files/move": MOVE_FILE,
    "POST /files/delete": DELETE_FILES,
    "POST /files/restore": RESTORE_FILE,
    "GET /usage": USAGE,
    "HEAD /usage": USAGE.head(),
}
