"""Refusals that only HTTP knows; all others are in `ferry.errors`."""

from __future__ import annotations

from ferry.errors import InvalidRequest, NotFound


class RouteNotFound(NotFound):
    code = "route_not_found"
    title = "There is no such route"


class UnsupportedMediaType(InvalidRequest):
    code = "unsupported_media_type"
    title = "The body has a Content-Type that this route does not read"


class BodyTooLarge(InvalidRequest):
    code = "body_too_large"
    title = "The body is too large"
