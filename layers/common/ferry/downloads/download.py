"""Download: the bytes of a file, a range of them, or a redirect to S3.

One read of the metadata store returns the file, so HEAD, 304, 412, 416 and redirects need no call to S3; bytes that are
sent inline cost one. Objects never change and their keys are never used again, so the bytes match the headers.

Beyond `MAX_BODY_BYTES` the response redirects to S3, which evaluates the request's Range and conditions again.
`File.etag` and `File.last_modified_seconds` are S3's own values, so both evaluations agree (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from ferry.errors import BackendUnavailable, FileNotFound, PreconditionFailed, RangeNotSatisfiable
from ferry.files.validators import file_validators
from ferry.model.objects import FILE_CACHE_CONTROL
from ferry.model.uploads import object_key
from ferry.rules import conditions, ranges
from ferry.rules.conditions import Conditions, PreconditionResult, Validators
from ferry.rules.digests import crc32c_to_base64
from ferry.rules.disposition import attachment, inline, shown_type
from ferry.rules.durations import SECOND_MS
from ferry.rules.layout import MIB

if TYPE_CHECKING:
    from ferry.model.files import File
    from ferry.services import Services

MAX_BODY_BYTES = 4 * MIB
"""Bytes that a function sends at most: their base64 is below Lambda's limit of 6 MB."""

_MAX_READS = 2
"""Reads of the file at most. An object is kept for a day after its file, so a missing one means that the name got
another file while the function was suspended."""


class ResponseKind(Enum):
    """The form of a response."""

    WHOLE = "whole"
    """The bytes of the file."""
    PART = "part"
    """A range of the bytes."""
    HEADERS = "headers"
    """The headers of the file."""
    NOT_MODIFIED = "not modified"
    """The client has the current file."""
    REDIRECT = "redirect"
    """A redirect to a presigned URL."""
    LINK = "link"
    """A presigned URL in a JSON body."""


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """What a request asks for."""

    head: bool = False
    """Whether it asks for the headers only."""
    range: str | None = None
    """The value of the Range header; None without it."""
    conditions: Conditions = field(default_factory=Conditions)
    """The conditions of the request."""
    redirect: bool = True
    """Whether it may be redirected; otherwise the response is a link."""
    inline: bool = False
    """Whether a browser shall show the file, if its type allows that; S3 then sends it, from an origin of its own."""


@dataclass(frozen=True, slots=True)
class PresignedLink:
    """A URL from which S3 sends the file without a token."""

    url: str
    """The URL."""
    expires_at: int
    """When the URL stops working, in epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class DownloadResponse:
    """The result of a download."""

    kind: ResponseKind
    """The form of the response."""
    file: File
    """The file."""
    headers: Mapping[str, str]
    """All headers of the response, Content-Length and Location included."""
    body: bytes | None = None
    """The bytes, for `WHOLE` and `PART`."""
    link: PresignedLink | None = None
    """The URL, for `REDIRECT` and `LINK`."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How the file is sent."""

    content_type: str
    """`Content-Type` of the response."""
    disposition: str
    """`Content-Disposition` of the response."""
    shown: bool
    """Whether a browser shows it."""


def download(services: Services, ns: str, name: str, request: DownloadRequest) -> DownloadResponse:
    """Return the result of a GET or HEAD request for a file.

    Raises:
        FileNotFound: there is no file of that name.
        PreconditionFailed: If-Match or If-Unmodified-Since does not hold; or the response would be a redirect, and S3
            would evaluate the request's date differently.
        RangeNotSatisfiable: the file has no byte in the range; `extra["size"]` is its size.
        BackendUnavailable: the bytes could not be read.
    """
    for _ in range(_MAX_READS):
        file = services.file_repository.get_file(ns, name)
        if file is None:
            raise FileNotFound
        response = _build_response(services, file, request)
        if response is not None:
            return response
    raise BackendUnavailable("The file changed while it was read. Repeat the request.")


def _build_response(services: Services, file: File, request: DownloadRequest) -> DownloadResponse | None:
    """Return the response for this version of the file; None when its object no longer exists."""
    now = services.clock() // SECOND_MS
    current = file_validators(file)
    result = conditions.evaluate_preconditions(request.conditions, current, now)
    if result is PreconditionResult.FAILED:
        raise PreconditionFailed
    if result is PreconditionResult.NOT_MODIFIED:
        # A gateway adds a type of its own to a response without one, and caches keep the headers of a 304.
        headers = _validator_headers(current) | {"Content-Type": file.content_type}
        return DownloadResponse(ResponseKind.NOT_MODIFIED, file, headers)
    form = _form_of(file, request)
    if request.head:
        return DownloadResponse(ResponseKind.HEADERS, file, _representation_headers(file, form, current, file.size))
    requested: ranges.RangeResult = ranges.Ignored()
    if conditions.if_range_matches(request.conditions.if_range, current, now):
        requested = ranges.parse_range(request.range, file.size)
    if isinstance(requested, ranges.Unsatisfiable):
        raise RangeNotSatisfiable(
            f"The file has {file.size} bytes, and none in the requested range. Request a range within its size.",
            size=file.size,
        )
    if not request.redirect:
        return DownloadResponse(ResponseKind.LINK, file, _NO_STORE_HEADERS, link=_presign_link(services, file, form))
    length = requested.length if isinstance(requested, ranges.Satisfiable) else file.size
    if form.shown or length > MAX_BODY_BYTES:
        _check_date(file, request, now)
        return _redirect_response(services, file, form)
    if isinstance(requested, ranges.Satisfiable):
        return _range_response(services, file, form, current, requested)
    return _whole_response(services, file, form, current)


def _form_of(file: File, request: DownloadRequest) -> _Form:
    shown_as = shown_type(file.content_type) if request.inline else None
    if shown_as is not None:
        return _Form(shown_as, inline(file.name), shown=True)
    return _Form(file.content_type, attachment(file.name), shown=False)


def _check_date(file: File, request: DownloadRequest, now_seconds: int) -> None:
    """Raise `PreconditionFailed` if the request has a date, and S3 has another date for the file.

    S3 evaluates the conditions again after the redirect. With another date it could respond 304 to a client that has an
    older file of the name, or send it the rest of this one. A date beside an entity tag is ignored, by Ferry and by S3.
    """
    if file.object_date_seconds == file.last_modified_seconds:
        return
    given = request.conditions
    dates = (
        given.if_modified_since if given.if_none_match is None else None,
        given.if_unmodified_since if given.if_match is None else None,
        given.if_range if request.range is not None else None,
    )
    if any(date is not None and conditions.parse_http_date(date, now_seconds) is not None for date in dates):
        raise PreconditionFailed(
            "S3, which sends this file, dates it differently. Send its ETag instead of a date: in If-None-Match, "
            "If-Match or If-Range."
        )


def _whole_response(services: Services, file: File, form: _Form, current: Validators) -> DownloadResponse | None:
    body = services.object_store.get(object_key(file.upload_id)) if file.size else b""
    if body is None:
        return None
    return DownloadResponse(
        ResponseKind.WHOLE,
        file,
        _representation_headers(file, form, current, file.size),
        body=_require_length(body, file.size),
    )


def _range_response(
    services: Services, file: File, form: _Form, current: Validators, requested_range: ranges.Satisfiable
) -> DownloadResponse | None:
    body = services.object_store.get(object_key(file.upload_id), requested_range.first, requested_range.last)
    if body is None:
        return None
    headers = _representation_headers(file, form, current, requested_range.length) | {
        "Content-Range": requested_range.content_range
    }
    return DownloadResponse(ResponseKind.PART, file, headers, body=_require_length(body, requested_range.length))


def _redirect_response(services: Services, file: File, form: _Form) -> DownloadResponse:
    """Return a redirect without headers of the file: S3 sends them, and clients would store both sets."""
    link = _presign_link(services, file, form)
    return DownloadResponse(ResponseKind.REDIRECT, file, {"Location": link.url} | _NO_STORE_HEADERS, link=link)


def _presign_link(services: Services, file: File, form: _Form) -> PresignedLink:
    """Return a URL whose response has the same headers as the API's. The client repeats its Range there."""
    presigned = services.object_store.presign_get(
        object_key(file.upload_id),
        content_type=form.content_type,
        disposition=form.disposition,
        ttl_seconds=services.presigned_url_ttl_seconds,
    )
    return PresignedLink(presigned.url, presigned.expires_at)


def _require_length(body: bytes, length: int) -> bytes:
    if len(body) != length:
        raise BackendUnavailable("The file was not read completely. Repeat the request.")
    return body


# A presigned URL grants access to the file, so no cache may store it.
_NO_STORE_HEADERS: dict[str, str] = {"Cache-Control": "private, no-store"}


def _validator_headers(current: Validators) -> dict[str, str]:
    """Return the headers of a 304 (RFC 9110 section 15.4.5). Private caches may store the file, and must revalidate."""
    return {
        "ETag": current.etag,
        "Last-Modified": conditions.format_http_date(current.last_modified_seconds),
        "Cache-Control": FILE_CACHE_CONTROL,
    }


def _representation_headers(file: File, form: _Form, current: Validators, length: int) -> dict[str, str]:
    """Return the headers of the file, or of `length` bytes of it. A browser saves it, whatever its type, runs nothing,
    and embeds it in no page of another origin.
    """
    return _validator_headers(current) | {
        "Accept-Ranges": "bytes",
        "Content-Type": form.content_type,
        "Content-Length": str(length),
        "Content-Disposition": form.disposition,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": _repr_digest(file),
        # For HEAD: no document says that an HTTP API keeps the Content-Length of a response without content.
        "Ferry-Size": str(file.size),
    }


def _repr_digest(file: File) -> str:
    """Return the digest of the whole file, also for a range of it (RFC 9530 section 3)."""
    return f"crc32c=:{crc32c_to_base64(file.crc32c)}:"
