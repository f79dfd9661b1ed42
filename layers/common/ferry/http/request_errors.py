"""Errors of HTTP itself. All others are in `ferry.errors`."""

from __future__ import annotations

from ferry.errors import FerryError, InvalidRequest, NotFound


class RouteNotFound(NotFound):
    code = "route_not_found"
    title = "There is no such route"
    advice = "The API document (GET /openapi.json) lists the routes."


class DestinationForbidden(FerryError):
    code = "destination_forbidden"
    title = "A file cannot be loaded as a script, a style sheet or a worker"
    advice = "Request it with fetch, or save it."


class UnsupportedMediaType(InvalidRequest):
    code = "unsupported_media_type"
    title = "This route does not read this Content-Type"
    advice = "Send the body as the API document describes it."


class BodyNotExact(UnsupportedMediaType):
    code = "body_not_exact"
    title = "The gateway passed the body on as text, and changed its bytes"
    advice = "Send it as application/octet-stream, which arrives byte for byte."


class NotAWholeFile(InvalidRequest):
    code = "not_a_whole_file"
    title = "The body is a part of a file"
    advice = "Send all bytes of the file in one request, or upload it with POST /upload/start."


class BodyTooLarge(InvalidRequest):
    code = "body_too_large"
    title = "The body is too large"
    advice = "Send a smaller one."


class MalformedHeader(InvalidRequest):
    code = "malformed_header"
    title = "A header field is missing or not valid"
    advice = "Send it as the protocol describes it."


class VersionUnsupported(FerryError):
    code = "tus_version_unsupported"
    title = "The request has no Tus-Resumable header of a version that Ferry supports"
    advice = "Send Tus-Resumable: 1.0.0; or, in the IETF draft's protocol, Upload-Complete with the creation."
