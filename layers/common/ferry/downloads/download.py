"""Download: which bytes of a file, or which redirect, a request gets.

A file's facts come from one read of the ledger, so HEAD, 304, 412, 416 and redirects touch no object; what is sent
inline costs one read of the store more. Objects never change and their names are never used twice, so whatever is
read fits what was promised.

`File.etag` is S3's ETag as S3 writes it, quotes included, and goes out as it is. Large answers are redirects to the
store, which looks at the request's Range and conditions anew: `File.etag` and `File.last_modified` are what the store
itself says, so they hold on both sides (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ferry.errors import BackendUnavailable, FileNotFound, PreconditionFailed, RangeNotSatisfiable
from ferry.model.files import File
from ferry.model.uploads import object_key
from ferry.rules import conditions, ranges
from ferry.rules.conditions import Conditions, PreconditionResult, Validators
from ferry.rules.digests import crc32c_to_base64
from ferry.rules.disposition import attachment
from ferry.rules.durations import SECOND_MS
from ferry.rules.layout import MIB
from ferry.services import Services

MAX_INLINE_BYTES = 4 * MIB
"""The most bytes that pass a function: in base64 they still are below the platform's 6 MB."""

# An object outlives its file by a day. Should it be gone all the same, the name was given another file while this
# request slept.
_MAX_READS = 2


class ResponseKind(Enum):
    """What an answer is: the file or a part of it inline, its headers alone, 304, a redirect, or a URL to be told."""

    WHOLE = "whole"
    PART = "part"
    HEADERS = "headers"
    NOT_MODIFIED = "not modified"
    REDIRECT = "redirect"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class DownloadRequest:
    """What matters of a request. `head` asks for headers alone; without `redirect` a URL is told, not redirected to.

    `range` is the Range header's value, None when it was not sent.
    """

    head: bool = False
    range: str | None = None
    conditions: Conditions = field(default_factory=Conditions)
    redirect: bool = True


@dataclass(frozen=True, slots=True)
class PresignedLink:
    """Where the file can be fetched without a token, until `expires_at` (epoch milliseconds)."""

    url: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class DownloadResponse:
    """What to answer. `headers` are complete for the kind, Content-Length and Location included.

    `body` is there for WHOLE and PART only, `link` for REDIRECT and DESCRIBED.
    """

    kind: ResponseKind
    file: File
    headers: Mapping[str, str]
    body: bytes | None = None
    link: PresignedLink | None = None


def download(services: Services, ns: str, name: str, request: DownloadRequest) -> DownloadResponse:
    """Answer a GET or HEAD for the file of that name.

    Raises:
        FileNotFound: there is none.
        PreconditionFailed: If-Match or If-Unmodified-Since does not hold.
        RangeNotSatisfiable: the file has no byte in the range; `extra["size"]` is its size.
        BackendUnavailable: its bytes could not be read.
    """
    for _ in range(_MAX_READS):
        file = services.upload_repository.get_file(ns, name)
        if file is None:
            raise FileNotFound
        answer = _build_response(services, file, request)
        if answer is not None:
            return answer
    raise BackendUnavailable("The bytes of this file cannot be read at the moment; try again.")


def _build_response(services: Services, file: File, request: DownloadRequest) -> DownloadResponse | None:
    """The answer as far as this file goes, or None when its object is gone."""
    now = services.clock() // SECOND_MS
    current = Validators(file.etag, file.last_modified_seconds, current_since_seconds=file.uploaded_at // SECOND_MS)
    outcome = conditions.evaluate_preconditions(request.conditions, current, now)
    if outcome is PreconditionResult.FAILED:
        raise PreconditionFailed
    if outcome is PreconditionResult.NOT_MODIFIED:
        return DownloadResponse(ResponseKind.NOT_MODIFIED, file, _validator_headers(current))
    if request.head:
        return DownloadResponse(ResponseKind.HEADERS, file, _representation_headers(file, current, file.size))
    asked: ranges.RangeResult = ranges.Ignored()
    if conditions.if_range_matches(request.conditions.if_range, current, now):
        asked = ranges.parse_range(request.range, file.size)
    if isinstance(asked, ranges.Unsatisfiable):
        raise RangeNotSatisfiable(f"The file has {file.size} bytes.", size=file.size)
    if not request.redirect:
        return DownloadResponse(ResponseKind.LINK, file, _NO_STORE_HEADERS, link=_presign_link(services, file))
    if isinstance(asked, ranges.Satisfiable):
        return _range_response(services, file, current, asked)
    return _whole_response(services, file, current)


def _whole_response(services: Services, file: File, current: Validators) -> DownloadResponse | None:
    if file.size > MAX_INLINE_BYTES:
        return _redirect_response(services, file, current)
    body = services.object_store.get(object_key(file.upload_id)) if file.size else b""
    if body is None:
        return None
    return DownloadResponse(
        ResponseKind.WHOLE,
        file,
        _representation_headers(file, current, file.size),
        body=_require_length(body, file.size),
    )


def _range_response(
    services: Services, file: File, current: Validators, requested_range: ranges.Satisfiable
) -> DownloadResponse | None:
    if requested_range.length > MAX_INLINE_BYTES:
        return _redirect_response(services, file, current)
    body = services.object_store.get(object_key(file.upload_id), requested_range.first, requested_range.last)
    if body is None:
        return None
    headers = _representation_headers(file, current, requested_range.length) | {
        "Content-Range": requested_range.content_range
    }
    return DownloadResponse(ResponseKind.PART, file, headers, body=_require_length(body, requested_range.length))


def _redirect_response(services: Services, file: File, current: Validators) -> DownloadResponse:
    link = _presign_link(services, file)
    headers = (
        _validator_headers(current)
        | {"Repr-Digest": _repr_digest(file), "Accept-Ranges": "bytes", "Location": link.url}
        | _NO_STORE_HEADERS
    )
    return DownloadResponse(ResponseKind.REDIRECT, file, headers, link=link)


def _presign_link(services: Services, file: File) -> PresignedLink:
    """A URL that answers with the same headers as an inline answer; it needs the client's own Range once more."""
    expires_at = services.clock() + services.presigned_url_ttl_seconds * SECOND_MS
    url = services.object_store.presign_get(
        object_key(file.upload_id),
        content_type=file.content_type,
        disposition=attachment(file.name),
        ttl_seconds=services.presigned_url_ttl_seconds,
    )
    return PresignedLink(url, expires_at)


def _require_length(body: bytes, length: int) -> bytes:
    if len(body) != length:
        raise BackendUnavailable("The store sent another number of bytes than the file has; try again.")
    return body


# A URL is a key to the file for as long as it lives: no cache may keep it.
_NO_STORE_HEADERS: dict[str, str] = {"Cache-Control": "private, no-store"}


def _validator_headers(current: Validators) -> dict[str, str]:
    """What a 304 says (RFC 9110 section 15.4.5). Caches may keep it, for one user, and must ask before each use."""
    return {
        "ETag": current.etag,
        "Last-Modified": conditions.format_http_date(current.last_modified_seconds),
        "Cache-Control": "private, no-cache",
    }


def _representation_headers(file: File, current: Validators, length: int) -> dict[str, str]:
    """The headers of the file, or of `length` bytes of it. Whatever its type, a browser saves it and runs nothing."""
    return _validator_headers(current) | {
        "Accept-Ranges": "bytes",
        "Content-Type": file.content_type,
        "Content-Length": str(length),
        "Content-Disposition": attachment(file.name),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": _repr_digest(file),
    }


def _repr_digest(file: File) -> str:
    """Over the whole file, whatever part of it is sent (RFC 9530 section 3), as a dictionary of RFC 8941."""
    return f"crc32c=:{crc32c_to_base64(file.crc32c)}:"
