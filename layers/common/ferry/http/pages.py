"""The pages: static files, each below a path that changes with the content of all of them.

A page may run scripts and styles from that path alone, because files of users are on this origin too. It may connect to
the API and the bucket, and show previews from the bucket.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path

from ferry.errors import NotFound
from ferry.http.compression import compressed_response
from ferry.http.request import Request
from ferry.http.response import Response

ASSETS_PATH = "/assets"
"""All assets are below this path."""

ASSET_CACHE_CONTROL = "public, max-age=31536000, immutable"
"""The path of an asset changes with its content, so caches may keep it."""

CURRENT_VERSION = "current"
"""In place of the version, it is redirected to the current one: for pages of functions that do not have the assets."""

_VERSION_LENGTH = 16
"""Hexadecimal digits of a version."""
_ASSET_OF_A_VERSION = re.compile(rf"[0-9a-f]{{{_VERSION_LENGTH}}}/[a-z0-9_]+\.(?:css|js|svg)")
_MAX_ATTEMPTS = 16
"""How often an asset of another version is asked for, at most. Browsers follow up to 20 redirects."""
_CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_ASSETS_PLACEHOLDER = b"{{assets}}"
_ADDRESS_PLACEHOLDER = b"{{address}}"
"""The page's own URL. At another address of the service, the policy lets the page load nothing."""


@dataclass(frozen=True)
class Pages:
    """The static files of a folder."""

    folder: Path
    """Holds the pages (`….html`) and their assets, without subfolders."""

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The contents by file name."""
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir()) if path.suffix in _CONTENT_TYPES}

    @cached_property
    def version(self) -> str:
        """A digest of all files, which the paths of the assets contain."""
        digest = hashlib.sha256()
        for name, content in self.files.items():
            digest.update(f"{name} {len(content)}\n".encode() + content)
        return digest.hexdigest()[:_VERSION_LENGTH]

    def page(
        self, request: Request, name: str, *, base_url: str, bucket_origin: str, chunk_endpoint: str = ""
    ) -> Response:
        """Return a page that loads its assets from the current path.

        Args:
            request: the request.
            name: the name of the file.
            base_url: the URL of the API, without a `/` at its end.
            bucket_origin: the origin of presigned URLs.
            chunk_endpoint: the URL of the chunk function, without a `/` at its end; empty: there is none.
        """
        assets = f"{ASSETS_PATH}/{self.version}"
        address = escape(f"{base_url}/{Path(name).stem}")
        content = self.files[name].replace(_ASSETS_PLACEHOLDER, assets.encode())
        content = content.replace(_ADDRESS_PLACEHOLDER, address.encode())
        headers = {
            "Cache-Control": "no-cache",
            **page_headers(f"{base_url}{assets}/", base_url, bucket_origin, chunk_endpoint),
        }
        return _static_response(request, name, content, headers)

    def asset(self, request: Request) -> Response:
        """Return the asset that the path names, or a redirect.

        The version `current` is redirected to the present one. An asset of another version is redirected to its own
        path: during an update of the service, the next request may reach an instance of that version.

        Raises:
            NotFound: there is no such asset, or no instance of its version after some attempts.
        """
        path = request.path_parameters.get("asset", "")
        version, _, name = path.partition("/")
        content = self.files.get(name)
        if version == CURRENT_VERSION and content is not None:
            return _redirect(302, f"{self.version}/{name}", "no-cache")
        if version != self.version and _ASSET_OF_A_VERSION.fullmatch(path) and (attempt := _next_attempt(request)):
            return _redirect(307, f"{path}?attempt={attempt}", "no-store")
        if version != self.version or content is None or name.endswith(".html"):
            raise NotFound("There is no such asset. Load the page again.")
        return _static_response(request, name, content, {"Cache-Control": ASSET_CACHE_CONTROL})


def page_headers(assets_url: str, base_url: str, bucket_origin: str, chunk_endpoint: str = "") -> Mapping[str, str]:
    """Return the headers that keep a page apart from other origins.

    Args:
        assets_url: the URL below which the assets are, with a `/` at its end.
        base_url: the URL of the API, without a `/` at its end.
        bucket_origin: the origin of presigned URLs.
        chunk_endpoint: the URL of the chunk function, without a `/` at its end; empty: there is none.
    """
    connect = " ".join([f"{base_url}/", bucket_origin, *([f"{chunk_endpoint}/"] if chunk_endpoint else [])])
    return {
        "Content-Security-Policy": _content_security_policy(assets_url, bucket_origin, connect),
        "Cross-Origin-Opener-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }


def _content_security_policy(assets_url: str, bucket_origin: str, connect: str) -> str:
    """Return the policy of a page (CSP level 3). Paths, never `'self'`: files of users are on this origin too."""
    directives = {
        "default-src": "'none'",
        "script-src": assets_url,
        "style-src": assets_url,
        "worker-src": assets_url,
        "img-src": f"{assets_url} {bucket_origin}",
        "media-src": bucket_origin,
        "frame-src": bucket_origin,
        "connect-src": connect,
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())


def _next_attempt(request: Request) -> int | None:
    """Return the number of the next request for an asset; None if there have been enough, or the number is none."""
    attempt = request.query.get("attempt", "0")
    if not re.fullmatch("[0-9]{1,2}", attempt) or int(attempt) >= _MAX_ATTEMPTS:
        return None
    return int(attempt) + 1


def _redirect(status: int, path: str, cache_control: str) -> Response:
    """Return a redirect to a path below that of all assets."""
    headers = {"Location": f"{ASSETS_PATH}/{path}", "Cache-Control": cache_control}
    return Response(status, {**headers, "Cross-Origin-Resource-Policy": "same-origin"})


def _static_response(request: Request, name: str, content: bytes, headers: Mapping[str, str]) -> Response:
    all_headers = {
        "Content-Type": _CONTENT_TYPES[Path(name).suffix],
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        **headers,
    }
    return compressed_response(request, all_headers, content)
