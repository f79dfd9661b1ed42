"""The lists of files and of deleted files: query parameters to the arguments of the use cases, pages to responses."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

from ferry.errors import InvalidField
from ferry.files.list import ListQuery
from ferry.http.json_values import to_json
from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.rules.filenames import MAX_FILENAME_BYTES
from ferry.rules.listing import DELIMITER

if TYPE_CHECKING:
    from ferry.files.list import FileListing
    from ferry.files.list_deleted import DeletedListing
    from ferry.model.files import DeletedFile, File
    from ferry.model.links import Link
    from ferry.services import Services

DEFAULT_LIMIT = 100
"""Entries of a page for a request without `?limit=`."""

MAX_LIMIT = 1_000
"""Entries of a page at most."""

MAX_TEXT_BODY_BYTES = 1_000_000
"""A larger page is sent as base64. As text, a function's response escapes its quotes again, up to twice its length."""


def respond(services: Services, ns: str, request: Request) -> Response:
    """Return the page of files, or of deleted files, that the query asks for.

    Raises:
        InvalidField: a parameter is not valid.
    """
    if not is_deleted(request):
        from ferry.files.list import list_files

        return listing_response(list_files(services, ns, list_query(request), measure))
    from ferry.files.list_deleted import list_deleted_files

    if "delimiter" in request.query:
        raise InvalidField.for_member("delimiter", "does not go with deleted; omit it")
    return deleted_response(list_deleted_files(services, ns, list_query(request), measure_deleted))


def respond_by_link(services: Services, link: Link, request: Request) -> Response:
    """Return the page of the files of a link that the query asks for.

    Raises:
        LinkForbidden: the link has one file, or the query asks for deleted files.
        FileNotFound: the prefix is outside the link's folder.
        InvalidField: a parameter is not valid.
    """
    from dataclasses import replace

    from ferry.files.list import list_files
    from ferry.link_errors import LinkForbidden
    from ferry.links.downloads import prefix_by_link

    if is_deleted(request):
        raise LinkForbidden("Deleted files are not shown by a link. Omit deleted.")
    query = list_query(request)
    query = replace(query, prefix=prefix_by_link(link, query.prefix))
    return listing_response(list_files(services, link.ns, query, measure))


def is_deleted(request: Request) -> bool:
    """Return whether the query asks for deleted files. Raises `InvalidField` for another value than `true`."""
    value = request.query.get("deleted")
    if value not in (None, "true"):
        raise InvalidField.for_member("deleted", "must be true; omit it to list the files that are there")
    return value is not None


def list_query(request: Request) -> ListQuery:
    """Return the page that the query asks for. Raises `InvalidField` for a parameter that is not valid."""
    delimiter = request.query.get("delimiter")
    if delimiter not in (None, DELIMITER):
        raise InvalidField.for_member("delimiter", f"must be {DELIMITER}; omit it to list the names below folders too")
    return ListQuery(
        prefix=name_prefix(request),
        by_folder=delimiter is not None,
        cursor=request.optional_cursor(),
        limit=limit(request),
    )


def name_prefix(request: Request) -> str:
    """Return `?prefix=`, normalized as names are. Raises `InvalidField` when it is longer than any name."""
    return unicodedata.normalize("NFC", request.text("prefix", MAX_FILENAME_BYTES) or "")


def limit(request: Request) -> int:
    """Return `?limit=`. Raises `InvalidField` unless it is from 1 to `MAX_LIMIT`."""
    value = request.integer("limit", minimum=1, maximum=MAX_LIMIT)
    return DEFAULT_LIMIT if value is None else value


def measure(entry: File | str) -> int:
    """Return the bytes of an entry in the JSON of a page, with the comma."""
    from ferry.http.responses.files import FileBody

    return _json_bytes(entry if isinstance(entry, str) else to_json(FileBody.from_file(entry)))


def measure_deleted(deleted_file: DeletedFile) -> int:
    """Return the bytes of a deleted file in the JSON of a page, with the comma."""
    from ferry.http.responses.file_lists import DeletedFileBody

    return _json_bytes(to_json(DeletedFileBody.from_deleted_file(deleted_file)))


def listing_response(listing: FileListing) -> Response:
    """Return a page of files and folders."""
    from ferry.http.responses.file_lists import FileList

    return _without_escapes(json_response(200, FileList.from_listing(listing)))


def deleted_response(listing: DeletedListing) -> Response:
    """Return a page of files that can be restored."""
    from ferry.http.responses.file_lists import DeletedFileList

    return _without_escapes(json_response(200, DeletedFileList.from_listing(listing)))


def _json_bytes(value: object) -> int:
    return len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()) + 1


def _without_escapes(response: Response) -> Response:
    """Return the response with a large body as bytes, which the gateway gets in base64."""
    from dataclasses import replace

    if not isinstance(response.body, str) or len(response.body) <= MAX_TEXT_BODY_BYTES:
        return response
    return replace(response, body=response.body.encode())
