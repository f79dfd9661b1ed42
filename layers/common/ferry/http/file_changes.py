"""Moves, restores and deletions of finished files: bodies to the arguments of the use cases, and results to responses.

Each function imports the one model or response body that it uses, because a cold start waits for what is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry.errors import FerryError, InvalidField
from ferry.http.conditions import CONDITION_HEADERS, request_conditions
from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.rules.conditions import format_http_date
from ferry.rules.filenames import normalize_filename

if TYPE_CHECKING:
    from ferry.files.delete_many import DeleteEntry, DeleteResults
    from ferry.files.move import MoveRequest
    from ferry.files.restore import RestoreRequest
    from ferry.model.files import File

MAX_DELETE_BODY_BYTES = 1024 * 1024
"""Bytes of a JSON body with the names of files to delete: a hundred of the longest, with every character escaped."""

# Each `…_request` raises what `ferry.http.request_bodies.BodyReader.read` raises, `InvalidField` and `InvalidFilename`.


def move_request(request: Request) -> MoveRequest:
    """Return the move that the body asks for."""
    from ferry.files.move import MoveRequest
    from ferry.http.request_bodies import MOVE

    body = MOVE.read(request)
    if body.to_etag is not None and body.if_exists == "fail":
        raise InvalidField.for_member("if_exists", "must not be fail with to_etag, which replaces that file; omit one")
    return MoveRequest(
        name=_name("from", body.from_),
        new_name=_name("to", body.to),
        replace_existing=body.if_exists == "replace",
        etag=body.etag,
        existing_etag=body.to_etag,
        conditions=request_conditions(request),
    )


def restore_request(request: Request) -> RestoreRequest:
    """Return the restore that the body asks for."""
    from ferry.files.restore import RestoreRequest
    from ferry.http.request_bodies import RESTORE
    from ferry.model.files import IfExists

    body = RESTORE.read(request)
    return RestoreRequest(
        name=normalize_filename(body.filename),
        upload_id=body.upload_id,
        new_name=None if body.to is None else _name("to", body.to),
        if_exists=IfExists(body.if_exists),
        conditions=request_conditions(request),
    )


def delete_request(request: Request) -> list[DeleteEntry]:
    """Return the files that the body asks to delete. Raises `InvalidField` for a condition, which is about one file."""
    from ferry.files.delete_many import DeleteEntry
    from ferry.http.request_bodies import DELETE_FILES

    for header in CONDITION_HEADERS:
        if header in request.headers:
            raise InvalidField.for_member(header, "is about one file; send {filename, etag} as entries instead")
    body = DELETE_FILES.read(request, MAX_DELETE_BODY_BYTES)
    return [
        DeleteEntry(entry) if isinstance(entry, str) else DeleteEntry(entry.filename, entry.etag)
        for entry in body.filenames
    ]


def moved_response(request: MoveRequest, file: File, *, log_names: bool) -> Response:
    """Return the record of a file under its new name."""
    names = {"file_name": request.name, "new_file_name": file.name} if log_names else {}
    return _record_response(file).with_metrics(FilesMoved=1).with_audit(**names)


def restored_response(request: RestoreRequest, file: File, *, log_names: bool) -> Response:
    """Return the record of a restored file."""
    names = {"file_name": request.name, "new_file_name": file.name} if log_names else {}
    return _record_response(file).with_metrics(FilesRestored=1).with_audit(size=file.size, **names)


def deleted_response(results: DeleteResults, *, log_names: bool) -> Response:
    """Return what became of each name."""
    from ferry.http.responses.deletions import DeleteResultsBody

    counts = {"missing": len(results.missing), "errors": len(results.errors)}
    names = {"file_names": results.deleted} if log_names else {}
    response = json_response(200, DeleteResultsBody.from_results(results))
    return response.with_metrics(FilesDeleted=len(results.deleted)).with_audit(**counts, **names)


def _record_response(file: File) -> Response:
    from ferry.http.responses.files import FileBody

    headers = {"ETag": file.record_etag, "Last-Modified": format_http_date(file.last_modified_seconds)}
    return json_response(200, FileBody.from_file(file), headers)


def _name(member: str, text: str) -> str:
    """Return a normalized name. The error of one that is not valid names the member."""
    try:
        return normalize_filename(text)
    except FerryError as error:
        error.extra = {**error.extra, "errors": [{"loc": [member], "msg": error.detail}]}
        raise
