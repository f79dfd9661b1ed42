"""Header fields that both protocols of `/uploads` use, and the errors about them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ferry.errors import BackendUnavailable, FerryError
from ferry.http import bodies
from ferry.http.request import Request
from ferry.http.request_errors import MalformedHeader
from ferry.http.response import Response
from ferry.resumable.append import AppendResult
from ferry.resumable.limits import MAX_APPEND_BYTES
from ferry.resumable.lookup import shown_offset

CREATE_PARAMETERS = frozenset({"filename", "content_type", "if_exists"})
"""Query parameters of a creation."""

_INTEGER = re.compile(r"[0-9]{1,64}")
"""An integer of a header. A number that is too large gets the error of a length or an offset, and is not malformed."""


def integer(request: Request, name: str) -> int | None:
    """Return a header as a non-negative integer; None without it. Raises `MalformedHeader` for anything else."""
    value = request.headers.get(name)
    if value is None:
        return None
    if not _INTEGER.fullmatch(value.strip()):
        raise MalformedHeader(f"{name} must be a non-negative integer, in decimal digits.")
    return int(value)


def required_integer(request: Request, name: str) -> int:
    """Return a header as a non-negative integer. Raises `MalformedHeader` if it is missing or anything else."""
    number = integer(request, name)
    if number is None:
        raise MalformedHeader(f"{name} is missing. Send it.")
    return number


def body_of(request: Request, media_type: str) -> bytes:
    """Return the bytes of the body, exactly as the client sent them. Raises what `bodies.read_raw` raises."""
    return bodies.read_raw(request, MAX_APPEND_BYTES, advice=f"Send it as {media_type}, which arrives byte for byte.")


def require_type(request: Request, media_type: str) -> None:
    """Raise `UnsupportedMediaType` unless the body has this type. A request without a body needs none."""
    if request.body and request.content_type != media_type:
        raise bodies.unsupported_media_type(request, f"Send the bytes with Content-Type: {media_type}.")


def error_headers(error: Exception) -> Mapping[str, str]:
    """Return the headers that an error about an offset adds."""
    extra = error.extra if isinstance(error, FerryError) else {}
    return {"Upload-Offset": str(extra["expected_offset"])} if "expected_offset" in extra else {}


def raise_if_pending(result: AppendResult) -> None:
    """Raise `BackendUnavailable` while the file of an upload that has all its bytes is not committed."""
    if result.pending is not None:
        raise BackendUnavailable(
            "All bytes have arrived, and the file is still being put together. Repeat the request.",
            expected_offset=shown_offset(result.upload),
        )


def with_counts(response: Response, result: AppendResult, size: int) -> Response:
    """Return the response to an append of `size` bytes with its metrics."""
    completed = {"UploadsCompleted": 1, "FileBytes": result.file.size} if result.file is not None else {}
    return response.with_metrics(ChunkBytes=size, **completed)
