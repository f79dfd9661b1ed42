"""The requests about finished files that `Ferry` offers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode

from ferry_client.api import Api
from ferry_client.arguments import check_etag, check_name
from ferry_client.errors import ConflictError, NotFoundError, name_taken_error
from ferry_client.members import objects, optional_text, parse_object, text, texts
from ferry_client.models import FileRecord, ListPage

MAX_DELETED_AT_ONCE = 100
"""Names of one request of `POST /files/delete`. The service's limit."""


def stat(api: Api, name: str) -> FileRecord:
    """Return the record of a file."""
    check_name(name)
    try:
        return FileRecord.from_json(api.get(api.file_path("/files", name)))
    except NotFoundError as error:
        raise NotFoundError(error.status, error.code, f"There is no file {name}.", error.request_id) from error


def list_page(
    api: Api, prefix: str, *, delimiter: str | None, cursor: str | None, limit: int, deleted: bool
) -> ListPage:
    """Return one page of a listing."""
    query = {
        "prefix": prefix or None,
        "delimiter": delimiter,
        "cursor": cursor,
        "limit": limit,
        "deleted": "true" if deleted else None,
    }
    if prefix:
        check_name(prefix)
    encoded = urlencode({key: value for key, value in query.items() if value is not None}, quote_via=quote)
    body = api.get(f"/files?{encoded}")
    files = [FileRecord.from_json(record) for record in objects(body, "files")]
    return ListPage(files, texts(body, "prefixes", default=[]), optional_text(body, "cursor"))


def move(api: Api, name: str, to: str, *, replace: bool, etag: str | None, to_etag: str | None) -> FileRecord:
    """Rename a file. Without `etag` its record is asked for first, so that the request may be repeated."""
    check_name(to)
    members = {
        "from": name,
        "to": to,
        "if_exists": "replace" if replace else None,
        "etag": etag or stat(api, name).etag,
        "to_etag": to_etag,
    }
    try:
        return FileRecord.from_json(parse_object(api.request_json("POST", "/files/move", members).body))
    except ConflictError as error:
        if error.code != "file_exists":
            raise
        raise name_taken_error(to, error, "another name, or --replace (in Python: replace=True)") from error


def delete(api: Api, name: str, etag: str | None) -> None:
    """Delete a file. One that is missing at a repetition was deleted by the request whose response was lost."""
    check_name(name)
    check_etag(etag)
    headers = {"If-Match": etag} if etag else {}
    response = api.request("DELETE", api.file_path("/files", name), headers=headers, accept=(204, 404))
    if response.status == 404 and response.attempts == 1:
        raise NotFoundError(404, "not_found", f"There is no file {name}.")


def delete_many(api: Api, names: Iterable[str]) -> Mapping[str, str]:
    """Delete files, and return an error code by name for the others."""
    errors: dict[str, str] = {}
    remaining = list(names)
    for name in remaining:
        check_name(name)
    while remaining:
        batch, remaining = remaining[:MAX_DELETED_AT_ONCE], remaining[MAX_DELETED_AT_ONCE:]
        response = api.request_json("POST", "/files/delete", {"filenames": batch})
        body = parse_object(response.body)
        if response.attempts == 1:  # After a lost response, the names are missing because they were deleted.
            errors.update(dict.fromkeys(texts(body, "missing"), "not_found"))
        errors.update({text(error, "filename"): text(error, "code") for error in objects(body, "errors")})
    return errors


def restore(api: Api, name: str, *, to: str | None, upload_id: str | None, if_exists: str) -> FileRecord:
    """Restore a deleted or replaced file. Under `rename` a repetition would restore the one before it."""
    check_name(name)
    members = {"filename": name, "to": to, "upload_id": upload_id, "if_exists": if_exists}
    try:
        response = api.request_json("POST", "/files/restore", members, is_repeatable=if_exists != "rename")
        return FileRecord.from_json(parse_object(response.body))
    except ConflictError as error:
        if error.code != "file_exists":
            raise
        choice = "--if-exists replace or rename (in Python: if_exists)"
        raise name_taken_error(to or name, error, choice) from error
