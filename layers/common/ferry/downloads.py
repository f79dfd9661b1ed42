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

from ferry import conditions, ranges
from ferry.conditions import Conditions, Outcome, Validators
from ferry.digests import crc_to_base64
from ferry.disposition import attachment
from ferry.engine import SECOND, Engine
from ferry.errors import BackendUnavailable, FileNotFound, PreconditionFailed, RangeNotSatisfiable
from ferry.grid import MIB
from ferry.model import File, object_key

MAX_INLINE = 4 * MIB
"""The most bytes that pass a function: in base64 they still are below the platform's 6 MB."""

# An object outlives its file by a day. Should it be gone all the same, the name was given another file while this
# request slept.
_LOOKS = 2


class Kind(Enum):
    """What an answer is: the file or a part of it inline, its headers alone, 304, a redirect, or a URL to be told."""

    WHOLE = "whole"
    PART = "part"
    HEADERS = "headers"
    NOT_MODIFIED = "not modified"
    REDIRECT = "redirect"
    DESCRIBED = "described"


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
class Link:
    """Where the file can be fetched without a token, until `expires_at` (epoch milliseconds)."""

    url: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer. `headers` are complete for the kind, Content-Length and Location included.

    `body` is there for WHOLE and PART only, `link` for REDIRECT and DESCRIBED.
    """

    kind: Kind
    file: File
    headers: Mapping[str, str]
    body: bytes | None = None
    link: Link | None = None


def download(engine: Engine, ns: str, name: str, request: DownloadRequest) -> Answer:
    """Answer a GET or HEAD for the file of that name.

    Raises:
        FileNotFound: there is none.
        PreconditionFailed: If-Match or If-Unmodified-Since does not hold.
        RangeNotSatisfiable: the file has no byte in the range; `extra["size"]` is its size.
        BackendUnavailable: its bytes could not be read.
    """
    for _ in range(_LOOKS):
        file = engine.ledger.file(ns, name)
        if file is None:
            raise FileNotFound
        answer = _answer(engine, file, request)
        if answer is not None:
            return answer
    raise BackendUnavailable("The bytes of this file cannot be read at the moment; try again.")


def _answer(engine: Engine, file: File, request: DownloadRequest) -> Answer | None:
    """The answer as far as this file goes, or None when its object is gone."""
    now = engine.clock() // SECOND
    current = Validators(file.etag, file.last_modified, since=file.uploaded_at // SECOND)
    outcome = conditions.evaluate(request.conditions, current, now)
    if outcome is Outcome.FAILED:
        raise PreconditionFailed
    if outcome is Outcome.NOT_MODIFIED:
        return Answer(Kind.NOT_MODIFIED, file, _validators(current))
    if request.head:
        return Answer(Kind.HEADERS, file, _representation(file, current, file.size))
    asked: ranges.Ranged = ranges.Ignored()
    if conditions.range_applies(request.conditions.if_range, current, now):
        asked = ranges.parse(request.range, file.size)
    if isinstance(asked, ranges.Unsatisfiable):
        raise RangeNotSatisfiable(f"The file has {file.size} bytes.", size=file.size)
    if not request.redirect:
        return Answer(Kind.DESCRIBED, file, _SECRET, link=_link(engine, file))
    if isinstance(asked, ranges.Satisfiable):
        return _part(engine, file, current, asked)
    return _whole(engine, file, current)


def _whole(engine: Engine, file: File, current: Validators) -> Answer | None:
    if file.size > MAX_INLINE:
        return _redirect(engine, file, current)
    body = engine.objects.get(object_key(file.upload_id)) if file.size else b""
    if body is None:
        return None
    return Answer(Kind.WHOLE, file, _representation(file, current, file.size), body=_all_of(body, file.size))


def _part(engine: Engine, file: File, current: Validators, asked: ranges.Satisfiable) -> Answer | None:
    if asked.length > MAX_INLINE:
        return _redirect(engine, file, current)
    body = engine.objects.get(object_key(file.upload_id), asked.first, asked.last)
    if body is None:
        return None
    headers = _representation(file, current, asked.length) | {"Content-Range": asked.content_range}
    return Answer(Kind.PART, file, headers, body=_all_of(body, asked.length))


def _redirect(engine: Engine, file: File, current: Validators) -> Answer:
    link = _link(engine, file)
    headers = (
        _validators(current) | {"Repr-Digest": _digest(file), "Accept-Ranges": "bytes", "Location": link.url} | _SECRET
    )
    return Answer(Kind.REDIRECT, file, headers, link=link)


def _link(engine: Engine, file: File) -> Link:
    """A URL that answers with the same headers as an inline answer; it needs the client's own Range once more."""
    expires_at = engine.clock() + engine.url_lifetime * SECOND
    url = engine.objects.presign_get(
        object_key(file.upload_id),
        content_type=file.content_type,
        disposition=attachment(file.name),
        lifetime=engine.url_lifetime,
    )
    return Link(url, expires_at)


def _all_of(body: bytes, length: int) -> bytes:
    if len(body) != length:
        raise BackendUnavailable("The store sent another number of bytes than the file has; try again.")
    return body


# A URL is a key to the file for as long as it lives: no cache may keep it.
_SECRET: dict[str, str] = {"Cache-Control": "private, no-store"}


def _validators(current: Validators) -> dict[str, str]:
    """What a 304 says (RFC 9110 section 15.4.5). Caches may keep it, for one user, and must ask before each use."""
    return {
        "ETag": current.etag,
        "Last-Modified": conditions.format_date(current.modified),
        "Cache-Control": "private, no-cache",
    }


def _representation(file: File, current: Validators, length: int) -> dict[str, str]:
    """The headers of the file, or of `length` bytes of it. Whatever its type, a browser saves it and runs nothing."""
    return _validators(current) | {
        "Accept-Ranges": "bytes",
        "Content-Type": file.content_type,
        "Content-Length": str(length),
        "Content-Disposition": attachment(file.name),
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
        "Repr-Digest": _digest(file),
    }


def _digest(file: File) -> str:
    """Over the whole file, whatever part of it is sent (RFC 9530 section 3), as a dictionary of RFC 8941."""
    return f"crc32c=:{crc_to_base64(file.crc32c)}:"
