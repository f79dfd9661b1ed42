"""The part of tus 1.0.0 that the client uses, as the service in memory serves it at `/uploads`."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from client.tests.fake_responses import problem, reply
from ferry_client.checksums import crc32c, crc32c_from_base64
from ferry_client.transport import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from client.tests.fake_service import FakeService

MAX_APPEND_BYTES = 4 * 1024 * 1024


@dataclass
class FakeStream:
    """An upload in progress."""

    upload_id: str
    name: str
    if_exists: str
    content_type: str
    data: bytes = b""
    is_complete: bool = False
    last: tuple[int, bytes] | None = None
    """Offset and body of the request that ended it."""


def create(service: FakeService, request: HttpRequest, query: dict[str, str], members: Any, body: bytes) -> Any:
    """Serve a creation."""
    del members
    assert request.headers["Tus-Resumable"] == "1.0.0"
    assert request.headers["Upload-Defer-Length"] == "1"
    assert not body
    pairs = (pair.split(" ") for pair in request.headers["Upload-Metadata"].split(","))
    metadata = {key: base64.b64decode(value).decode() for key, value in pairs}
    name, if_exists = metadata["filename"], query.get("if_exists", "rename")
    if if_exists == "fail" and name in service.files:
        return problem(403, "file_exists", "The name has a file.")
    if if_exists == "rename":
        name = service.free_name(name)
    content_type = metadata.get("filetype", "application/octet-stream")
    stream = FakeStream(service.new_id(), name, if_exists, content_type)
    service.streams[stream.upload_id] = stream
    return HttpResponse(201, {**_headers(stream), "Location": f"https://ferry.test/uploads/{stream.upload_id}"})


def head(service: FakeService, request: HttpRequest, query: Any, members: Any, body: bytes) -> HttpResponse:
    """Serve the offset."""
    del query, members, body
    stream = _find(service, request)
    return HttpResponse(200, _headers(stream)) if stream else problem(404, "upload_not_found", "No such upload.")


def patch(service: FakeService, request: HttpRequest, query: Any, members: Any, body: bytes) -> HttpResponse:
    """Append bytes; those that reach the declared length make the file."""
    del query, members
    stream = _find(service, request)
    if stream is None:
        return problem(404, "upload_not_found", "No such upload.")
    assert request.headers["Content-Type"] == "application/offset+octet-stream"
    assert 0 < len(body) <= MAX_APPEND_BYTES
    digest = request.headers["Upload-Checksum"].removeprefix("crc32c ")
    if crc32c_from_base64(digest) != crc32c(body):
        return problem(460, "checksum_mismatch", "The checksum differs.")
    offset = int(request.headers["Upload-Offset"])
    if stream.last is None:
        if offset != len(stream.data):
            return problem(409, "upload_offset_mismatch", "The upload continues elsewhere.")
        stream.data += body
        if int(request.headers.get("Upload-Length", "-1")) != len(stream.data):
            return HttpResponse(204, _headers(stream))
        stream.last = offset, body
    if stream.last != (offset, body):
        return problem(409, "upload_offset_mismatch", "The upload continues elsewhere.")
    if not stream.is_complete:
        if stream.if_exists == "fail" and stream.name in service.files:
            return problem(403, "file_exists", "The name has a file.")
        stream.is_complete = True
        service.store(stream.name, stream.data, stream.content_type, {}, stream.upload_id)
    return HttpResponse(204, _headers(stream))


def complete(service: FakeService, members: Mapping[str, Any]) -> HttpResponse:
    """Serve `POST /upload/complete` for an upload that has all its bytes."""
    stream = service.streams[members["upload_id"]]
    assert stream.last is not None
    assert crc32c_from_base64(members["checksum"]["value"]) == crc32c(stream.data)
    name = service.free_name(stream.name) if members["if_exists"] == "rename" else stream.name
    stream.is_complete = True
    file = service.store(name, stream.data, stream.content_type, {}, stream.upload_id)
    return reply(200, service.record(name, file))


def delete(service: FakeService, request: HttpRequest, query: Any, members: Any, body: bytes) -> HttpResponse:
    """Delete an upload."""
    del query, members, body
    stream = _find(service, request)
    if stream is None:
        return problem(404, "upload_not_found", "No such upload.")
    del service.streams[stream.upload_id]
    return HttpResponse(204, {})


def _find(service: FakeService, request: HttpRequest) -> FakeStream | None:
    assert request.headers["Tus-Resumable"] == "1.0.0"
    return service.streams.get(request.url.rpartition("/")[2])


def _headers(stream: FakeStream) -> dict[str, str]:
    shown = stream.last[0] if stream.last and not stream.is_complete else len(stream.data)
    return {"Upload-Offset": str(shown), "Ferry-Filename": quote(stream.name)}


ROUTES: Mapping[str, Any] = {
    "POST /uploads": create,
    "HEAD /uploads/{upload_id}": head,
    "PATCH /uploads/{upload_id}": patch,
    "DELETE /uploads/{upload_id}": delete,
}
