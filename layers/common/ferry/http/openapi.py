"""The response with the OpenAPI document, which `dev.openapi` generates into this package."""

from __future__ import annotations

from importlib.resources import files

from ferry.http.response import JSON, Response


def openapi_response() -> Response:
    """Return the document; caches may keep it for an hour."""
    content = files("ferry.http").joinpath("openapi.json").read_text(encoding="utf-8")
    headers = {"Content-Type": JSON, "Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"}
    return Response(200, headers, content)
