"""The page of a link, for a person: plain HTML without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from ferry.http.response import Response
from ferry.model.files import File
from ferry.model.links import Link, LinkKind, LinkUsage
from ferry.rules.timestamps import format_rfc3339

POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of the page: it loads nothing, sends nothing, and is shown in no frame."""

MAX_LISTED_FILES = 100
"""Files of a folder that the page has."""


def page_response(secret: str, link: Link, usage: LinkUsage, files: Sequence[File]) -> Response:
    """Return the page of a link.

    Args:
        secret: the secret, for the addresses of downloads on the page.
        link: the link.
        usage: its counters.
        files: files of its folder, for a download link without a password.
    """
    title = link.label or ("Files for you" if link.kind is LinkKind.DOWNLOAD else "Send files")
    body = "\n".join([f"<h1>{escape(title)}</h1>", *_content(secret, link, usage, files)])
    document = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}</title>\n</head>\n'
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return Response(200, headers, document)


def _content(secret: str, link: Link, usage: LinkUsage, files: Sequence[File]) -> list[str]:
    until = f"<p>The link works until <time>{format_rfc3339(link.expires_at)}</time>.</p>"
    if link.kind is LinkKind.UPLOAD:
        left_files, left_bytes = usage.left(link)
        takes = f"<p>You can send {left_files:,} files with {left_bytes:,} bytes in all.</p>"
        return ["<p>With this link you can send files to its owner.</p>", takes, _protected(link), until]
    left = [] if link.max_downloads is None else [f"<p>Downloads left: {link.max_downloads - usage.downloads:,}.</p>"]
    if link.password is not None:
        return [_protected(link), *left, until]
    if link.filename is not None:
        return [f"<p>{_anchor(f'{secret}/download', link.filename)}</p>", *left, until]
    items = [f"<li>{_anchor(f'{secret}/download/{quote(file.name)}', file.name)}</li>" for file in files]
    listed = ["<ul>", *items, "</ul>"] if items else ["<p>There are no files yet.</p>"]
    return [*listed, *left, until]


def _protected(link: Link) -> str:
    return "<p>The link has a password.</p>" if link.password is not None else ""


def _anchor(target: str, name: str) -> str:
    return f'<a href="{escape(target)}" rel="noreferrer">{escape(name)}</a>'
