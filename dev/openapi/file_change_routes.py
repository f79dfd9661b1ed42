"""What the routes that move, restore and delete several files take and return."""

from __future__ import annotations

from dev.openapi import examples
from dev.openapi.operation import BODY_ERRORS, Operation, ResponseDoc
from dev.openapi.parameters import MOVE_CONDITION_PARAMETERS, NEW_NAME_CONDITION_PARAMETERS
from ferry import errors
from ferry.http.models.file_changes import DeleteFilesBody, MoveBody, RestoreBody
from ferry.http.responses.deletions import DeleteError, DeleteResultsBody
from ferry.http.responses.files import FileBody

_RECORD_HEADERS = ("ETag", "Last-Modified")

MOVE_FILE = Operation(
    "moveFile",
    "files",
    "Give a finished file another name",
    {200: ResponseDoc("The record of the file under its new name.", FileBody, examples.FILE, headers=_RECORD_HEADERS)},
    "No byte is copied, and no reader of the old name and then of the new one misses the file. Its date becomes that "
    "of the move. With `etag`, a request that is repeated gets the same success; without, it is a 404.",
    MOVE_CONDITION_PARAMETERS,
    MoveBody,
    MoveBody.model_validate({"from": examples.FILENAME, "to": "greetings/hello.txt"}),
    error_types=(*BODY_ERRORS, errors.FileNotFound, errors.FileExists, errors.PreconditionFailed),
)
RESTORE_FILE = Operation(
    "restoreFile",
    "files",
    "Restore a deleted or replaced file",
    {200: ResponseDoc("The record of the file.", FileBody, examples.FILE, headers=_RECORD_HEADERS)},
    "No byte is copied. The file counts toward the quota again. A request that is repeated gets the same success, "
    "unless the file got another name under `rename`.",
    NEW_NAME_CONDITION_PARAMETERS,
    RestoreBody,
    RestoreBody(filename=examples.FILENAME),
    error_types=(
        *BODY_ERRORS,
        errors.FileNotFound,
        errors.FileExists,
        errors.PreconditionFailed,
        errors.QuotaExceeded,
    ),
)
DELETE_FILES = Operation(
    "deleteFiles",
    "files",
    "Delete up to 100 finished files",
    {
        200: ResponseDoc(
            "What became of each name.",
            DeleteResultsBody,
            DeleteResultsBody([examples.FILENAME], ["unknown.txt"], [DeleteError("../up", "invalid_filename")]),
        )
    },
    "Each file is deleted on its own. A name that is sent twice counts once. Conditional headers are rejected: send "
    "`{filename, etag}` as entries.",
    (),
    DeleteFilesBody,
    DeleteFilesBody(filenames=[examples.FILENAME, "unknown.txt", "../up"]),
    error_types=BODY_ERRORS,
)
