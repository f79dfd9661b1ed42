"""Keep the documentation site free of files of other hosts. MkDocs loads this file as a hook.

The search runs in a worker, which browsers do not start for pages opened from disk. The theme's offline plugin loads a
replacement from a content delivery network; this hook replaces it with docs/assets/file-worker.js.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

EXTERNAL_SHIM = re.compile(r'<script src="https://unpkg\.com/iframe-worker/shim"></script>')
LOCAL_SHIM = "assets/file-worker.js"
EXTERNAL_FILE = re.compile(r'<(?:script|img|iframe)\b[^>]*\bsrc="(?:https?:)?//|<link\b[^>]*\brel="stylesheet"[^>]*//')


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Return a page's HTML without files of other hosts. MkDocs calls this for every page.

    Raises:
        ValueError: the page loads a file of another host.
    """
    return localize(output, page.url)


def on_post_template(output_content: str, template_name: str, **_: Any) -> str:
    """Do the same for a page without a source, such as 404.html."""
    return localize(output_content, template_name) if template_name.endswith(".html") else output_content


def localize(html: str, url: str) -> str:
    """Return HTML that loads the shim from the site itself, relative to the page at `url`. Raises `ValueError`."""
    path = posixpath.relpath(LOCAL_SHIM, posixpath.dirname(url) or ".")
    html = EXTERNAL_SHIM.sub(f'<script src="{path}"></script>', html)
    if found := EXTERNAL_FILE.search(html):
        raise ValueError(f"{url} loads a file of another host: {html[found.start() : found.start() + 120]}")
    return html
