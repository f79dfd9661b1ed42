"""Responses and faults of the service in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ferry_client.checksums import crc32c, crc32c_from_base64, crc32c_to_base64
from ferry_client.transport import HttpRequest, HttpResponse, TransportError

Fault = Callable[[HttpRequest], HttpResponse | None]
"""Returns a response instead of the service's, raises `TransportError`, or returns None to let the request pass."""


@dataclass
class FakeFile:
    """A finished file."""

    data: bytes
    etag: str
    content_type: str
    metadata: dict[str, str]
    upload_id: str


def reply(status: int, body: Mapping[str, Any]) -> HttpResponse:
    """Return a JSON response."""
    return HttpResponse(status, {"Content-Type": "application/json"}, json.dumps(body).encode())


def problem(status: int, code: str, detail: str, **members: Any) -> HttpResponse:
    """Return a problem document."""
    return reply(status, {"status": status, "code": code, "detail": detail, "request_id": "r-1", **members})


def digest_of(request: HttpRequest) -> int:
    """Return the CRC32C of the Content-Digest header."""
    return crc32c_from_base64(request.headers["Content-Digest"].removeprefix("crc32c=:").removesuffix(":"))


def file_response(file: FakeFile, request: HttpRequest, *, stream: bool) -> HttpResponse:
    """Return the file or the requested range."""
    headers = {
        "ETag": file.etag,
        "Ferry-Size": str(len(file.data)),
        "Content-Type": file.content_type,
        "Repr-Digest": f"crc32c=:{crc32c_to_base64(crc32c(file.data))}:",
    }
    if request.method == "HEAD":
        return HttpResponse(200, headers)
    match = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("Range", ""))
    data = file.data[int(match[1]) : int(match[2]) + 1] if match else file.data
    status = 206 if match else 200

    def blocks() -> Iterator[bytes]:
        yield from (data[first : first + 100_000] for first in range(0, len(data), 100_000))

    return HttpResponse(status, headers, stream=blocks()) if stream else HttpResponse(status, headers, data)


def fail_once(matches: Callable[[HttpRequest], bool], times: int = 1) -> Fault:
    """Return a fault: the first matching requests break."""
    left = [times]

    def fault(request: HttpRequest) -> HttpResponse | None:
        if left[0] and matches(request):
            left[0] -= 1
            raise TransportError("the connection broke")
        return None

    return fault
