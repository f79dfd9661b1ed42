"""The response with the OpenAPI document, which `dev.openapi` generates into this package."""

from __future__ import annotations

from importlib.resources import files

from ferry.http.compression import compressed_response
from ferry.http.request import Request
from ferry.http.response import JSON, Response


def openapi_response(request: Request) -> Response:
    """Return the document; caches may keep it for an hour."""
    content = files("ferry.http").joinpath("openapi.json").read_bytes()
    headers = {"Content-Type": JSON, "Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return compressed_response(request, headers, content)
