"""The page of a link, for a person: plain HTML, which the scripts of the console replace where they run."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from ferry.errors import FerryError
from ferry.http import problems
from ferry.http.pages import ASSETS_PATH, CURRENT_VERSION, page_headers
from ferry.http.response import Response
from ferry.model.files import File
from ferry.model.links import Link, LinkKind, LinkUsage
from ferry.rules.timestamps import format_rfc3339

MAX_LISTED_FILES = 100
"""Files of a folder that the page has."""

_CONTENT_TYPE = {"Content-Type": "text/html; charset=utf-8"}
_DIRECTION_CHANGES = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")
"""Characters that turn the text after them around (UAX #9), each with what is shown in its place: with U+202E a name
that ends in `gpj.exe` reads as if it ended in `exe.jpg`. `dom.js` replaces the same ones.
"""
_ASSETS = f"{ASSETS_PATH}/{CURRENT_VERSION}"

_NEEDS_SCRIPTS = (
    "<p>If no form follows, load this page again. The form needs JavaScript, and may not load while the service is "
    "being updated.</p>"
)
"""For pages of which nothing works without scripts, which replace it."""


def page_response(
    secret: str,
    link: Link,
    usage: LinkUsage,
    files: Sequence[File],
    *,
    base_url: str,
    bucket_origin: str,
    chunk_endpoint: str = "",
) -> Response:
    """Return the page of a link.

    Args:
        secret: the secret, for the addresses of downloads on the page.
        link: the link.
        usage: its counters.
        files: files of its folder, for a download link without a password.
        base_url: the URL of the API, without a `/` at its end.
        bucket_origin: the origin of presigned URLs.
        chunk_endpoint: the URL of the chunk function, without a `/` at its end; empty: there is none.
    """
    title = link.label or ("Files for you" if link.kind is LinkKind.DOWNLOAD else "Send files")
    content = [f"<h1>{_isolated(title)}</h1>", *_content(secret, link, usage, files)]
    headers = page_headers(f"{base_url}{ASSETS_PATH}/", base_url, bucket_origin, chunk_endpoint)
    return Response(200, {**_CONTENT_TYPE, **headers}, _document(title, content))


def error_page(error: FerryError, *, base_url: str, bucket_origin: str, chunk_endpoint: str = "") -> Response:
    """Return the page of a link that has ended, or that does not exist.

    The scripts find `code` in the page: an upload that a link has counted may continue after the link is used up.
    """
    content = [f"<h1>{escape(error.title)}</h1>", f"<p>{escape(error.advice)}</p>"]
    headers = page_headers(f"{base_url}{ASSETS_PATH}/", base_url, bucket_origin, chunk_endpoint)
    document = _document(error.title, content, error.code)
    return Response(problems.status_of(type(error)), {**_CONTENT_TYPE, **headers}, document)


def _document(title: str, content: Sequence[str], code: str = "") -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(_legible(title))}</title>\n'
        f'<link rel="stylesheet" href="{_ASSETS}/console.css">\n'
        f'<link rel="icon" href="{_ASSETS}/icon.svg" type="image/svg+xml">\n'
        f'<script src="{_ASSETS}/reload.js"></script>\n'
        f'<script type="module" src="{_ASSETS}/link.js"></script>\n'
        f'</head>\n<body>\n<div id="app" data-code="{escape(code)}">\n<main class="shared">\n'
        + "\n".join(content)
        + "\n</main>\n</div>\n"
        '<div id="announcements" class="visually-hidden" role="status" aria-live="polite"></div>\n</body>\n</html>\n'
    )


def _content(secret: str, link: Link, usage: LinkUsage, files: Sequence[File]) -> list[str]:
    until = f"<p>The link works until <time>{format_rfc3339(link.expires_at)}</time>.</p>"
    if link.kind is LinkKind.UPLOAD:
        left_files, left_bytes = usage.left(link)
        takes = f"<p>You can send {left_files:,} files with {left_bytes:,} bytes in all.</p>"
        return [
            "<p>With this link you can send files to its owner.</p>",
            takes,
            _protected(link),
            until,
            _NEEDS_SCRIPTS,
        ]
    left = [] if link.max_downloads is None else [f"<p>Downloads left: {link.max_downloads - usage.downloads:,}.</p>"]
    if link.password is not None:
        return [_protected(link), *left, until, _NEEDS_SCRIPTS]
    if link.filename is not None:
        return [f"<p>{_anchor(f'{secret}/download', link.filename)}</p>", *left, until]
    items = [f"<li>{_anchor(f'{secret}/download/{quote(file.name)}', file.name)}</li>" for file in files]
    listed = ["<ul>", *items, "</ul>"] if items else ["<p>There are no files yet.</p>"]
    return [*listed, *left, until]


def _protected(link: Link) -> str:
    return "<p>The link has a password.</p>" if link.password is not None else ""


def _anchor(target: str, name: str) -> str:
    return f'<a href="{escape(target)}" rel="noreferrer">{_isolated(name)}</a>'


def _legible(text: str) -> str:
    """Return the text with characters that turn text around shown as such."""
    return text.translate(_DIRECTION_CHANGES)


def _isolated(text: str) -> str:
    """Return markup that shows the text in its own direction, without an effect on what surrounds it."""
    return f"<bdi>{escape(_legible(text))}</bdi>"
