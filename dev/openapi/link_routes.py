"""What the routes of links take and return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dev.openapi import examples
from dev.openapi.download_routes import DOWNLOAD, HEAD
from dev.openapi.operation import BODY_ERRORS, FILENAME_ERRORS, ErrorType, Operation, ResponseDoc
from dev.openapi.parameters import (
    CURSOR_QUERY,
    DELIMITER_QUERY,
    FILE_LIMIT_QUERY,
    FILENAME_PATH,
    LINK_ID_PATH,
    OPTIONAL_FILENAME_QUERY,
    PREFIX_QUERY,
    SECRET_PATH,
)
from ferry import errors, link_errors
from ferry.http.models.links import LinkCreateBody, LinkTokenBody
from ferry.http.responses.file_lists import FileList
from ferry.http.responses.links import (
    ActivityList,
    DownloadLinkBody,
    LinkList,
    LinkTokenResponse,
    SharedLink,
    UploadLinkBody,
)

LINK_ERRORS: tuple[ErrorType, ...] = (
    link_errors.LinkNotFound,
    link_errors.LinkExpired,
    link_errors.LinkRevoked,
    link_errors.LinkUsedUp,
)
"""Errors of a route with the secret of a link."""

OPEN_LINK_ERRORS: tuple[ErrorType, ...] = (*LINK_ERRORS, link_errors.LinkForbidden, link_errors.LinkPassword)
"""Errors of a route that needs no token of the link."""

_DOWNLOAD_ERRORS: tuple[ErrorType, ...] = (*OPEN_LINK_ERRORS, link_errors.PrefetchForbidden)
_HEADERS = ("Cache-Control", "Referrer-Policy", "X-Robots-Tag")

CREATE_LINK = Operation(
    "createLink",
    "links",
    "Create a link",
    {
        201: ResponseDoc(
            "The link. Its `url` is shown this once: who has it, has what the link grants.",
            DownloadLinkBody | UploadLinkBody,
            examples.DOWNLOAD_LINK,
        )
    },
    "A download link needs a token with `files:read`, too, an upload link one with `files:write`. Each request creates "
    "a link: repeated after a lost response, it creates another one.",
    body=LinkCreateBody,
    body_example=examples.SHARE_LINK,
    error_types=(*BODY_ERRORS, errors.FileNotFound),
)
LIST_LINKS = Operation(
    "listLinks",
    "links",
    "List the links of the namespace, the newest first",
    {200: ResponseDoc("A page of links.", LinkList, examples.LINKS)},
    "Links that have ended are listed for 90 days after their expiry.",
    (CURSOR_QUERY, FILE_LIMIT_QUERY),
    error_types=FILENAME_ERRORS,
)
GET_LINK = Operation(
    "getLink",
    "links",
    "Get a link",
    {200: ResponseDoc("The link.", DownloadLinkBody | UploadLinkBody, replace(examples.DOWNLOAD_LINK, url=None))},
    parameters=(LINK_ID_PATH,),
    error_types=(*FILENAME_ERRORS, link_errors.LinkNotFound),
)
DELETE_LINK = Operation(
    "deleteLink",
    "links",
    "Delete a link",
    {204: ResponseDoc("The link ends within a minute, its tokens too; the same when repeated.")},
    "A presigned URL that was given out before lives out its time: 60 s for a download, up to 15 minutes for a part of "
    "an upload. What happened by the link stays listed.",
    (LINK_ID_PATH,),
    error_types=(*FILENAME_ERRORS, link_errors.LinkNotFound),
)
LIST_ACTIVITY = Operation(
    "listLinkActivity",
    "links",
    "List what happened by a link, the newest first",
    {200: ResponseDoc("A page of entries.", ActivityList, examples.ACTIVITY)},
    "Downloads, uploads, wrong passwords and locks, by the network that they came from. Entries are kept for 90 days, "
    "also after the end of the link.",
    (LINK_ID_PATH, CURSOR_QUERY, FILE_LIMIT_QUERY),
    error_types=(*FILENAME_ERRORS, link_errors.LinkNotFound),
)
OPEN_LINK = Operation(
    "openLink",
    "links",
    "Look at a link",
    {
        200: ResponseDoc(
            "What the link is for; a page for a request that accepts `text/html`.",
            SharedLink,
            examples.SHARED_LINK,
            headers=_HEADERS,
            text_type="text/html; charset=utf-8",
        )
    },
    parameters=(SECRET_PATH,),
    error_types=LINK_ERRORS,
    error_page_statuses=(404, 410),
)
LINK_TOKEN = Operation(
    "issueLinkToken",
    "links",
    "Get a token of a link",
    {200: ResponseDoc("A token.", LinkTokenResponse, examples.LINK_TOKEN, headers=_HEADERS)},
    "The token is no token of a client: it opens the routes that take tokens of links, for the file or folder of the "
    "link. A link whose limits are used up still gives tokens while an upload that it counted is in progress; they "
    "begin nothing. Ten wrong passwords lock a network for 15 minutes, 200 in a day lock all networks.",
    (SECRET_PATH,),
    LinkTokenBody,
    examples.LINK_PASSWORD,
    error_types=(
        *BODY_ERRORS,
        *LINK_ERRORS,
        link_errors.LinkPassword,
        link_errors.LinkLocked,
    ),
)
DOWNLOAD_BY_LINK = replace(
    DOWNLOAD,
    operation_id="downloadByLink",
    tag="links",
    summary="Download a file by a link without a password",
    description="Each response with bytes, or with a URL to them, is a download, which is counted before it is sent. A "
    "token of the link counts several requests for one file once.",
    parameters=(SECRET_PATH, *DOWNLOAD.parameters),
    error_types=(*DOWNLOAD.error_types, *_DOWNLOAD_ERRORS),
)
HEAD_BY_LINK = replace(
    HEAD,
    operation_id="getFileHeadersByLink",
    tag="links",
    summary="Get the headers of a file by a link without a password",
    parameters=(SECRET_PATH, *HEAD.parameters),
    error_types=(*HEAD.error_types, *_DOWNLOAD_ERRORS),
)
LIST_BY_LINK = Operation(
    "listFilesByLink",
    "links",
    "List the files of a link without a password",
    {200: ResponseDoc("A page of files and folders, with whole names.", FileList, examples.FILES, headers=_HEADERS)},
    "Without a prefix, the folder of the link is listed.",
    (SECRET_PATH, PREFIX_QUERY, DELIMITER_QUERY, CURSOR_QUERY, FILE_LIMIT_QUERY),
    error_types=(*FILENAME_ERRORS, errors.FileNotFound, *OPEN_LINK_ERRORS),
)
ROBOTS = Operation(
    "getRobots",
    "service",
    "Get the page that keeps crawlers away from links",
    {200: ResponseDoc("Rules (RFC 9309).", headers=("Cache-Control", "Vary"), text_type="text/plain; charset=utf-8")},
)


def _by_query(operation: Operation, operation_id: str) -> Operation:
    """Return a download by a link with the name in the query; a link of one file needs none."""
    parameters = tuple(OPTIONAL_FILENAME_QUERY if each is FILENAME_PATH else each for each in operation.parameters)
    return replace(operation, operation_id=operation_id, parameters=parameters)


LINK_OPERATIONS: Mapping[str, Operation] = {
    "POST /links": CREATE_LINK,
    "GET /links": LIST_LINKS,
    "HEAD /links": LIST_LINKS.head(),
    "GET /links/{link_id}": GET_LINK,
    "HEAD /links/{link_id}": GET_LINK.head(),
    "DELETE /links/{link_id}": DELETE_LINK,
    "GET /links/{link_id}/activity": LIST_ACTIVITY,
    "HEAD /links/{link_id}/activity": LIST_ACTIVITY.head(),
    "GET /l/{secret}": OPEN_LINK,
    "HEAD /l/{secret}": OPEN_LINK.head(),
    "POST /l/{secret}/token": LINK_TOKEN,
    "GET /l/{secret}/download/{filename+}": DOWNLOAD_BY_LINK,
    "HEAD /l/{secret}/download/{filename+}": HEAD_BY_LINK,
    "GET /l/{secret}/download": _by_query(DOWNLOAD_BY_LINK, "downloadByLinkAndQuery"),
    "HEAD /l/{secret}/download": _by_query(HEAD_BY_LINK, "getFileHeadersByLinkAndQuery"),
    "GET /l/{secret}/files": LIST_BY_LINK,
    "HEAD /l/{secret}/files": LIST_BY_LINK.head(),
    "GET /robots.txt": ROBOTS,
    "HEAD /robots.txt": ROBOTS.head(),
}
