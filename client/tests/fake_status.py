"""The status of uploads, as the service in memory returns it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from client.tests.fake_responses import problem, reply
from ferry_client.transport import HttpResponse

if TYPE_CHECKING:
    from client.tests.fake_service import FakeService, FakeUpload


CHUNK_SIZE = 256 * 1024


def _status(service: FakeService, request: Any, query: dict[str, str], members: Any, body: bytes) -> HttpResponse:
    del request, members, body
    uploads = [_members(upload) for upload in service.uploads.values()]
    if "filename" not in query:
        return reply(200, {"uploads": uploads})
    named = [upload for upload in uploads if upload["filename"] == query["filename"]]
    return reply(200, named[-1]) if named else problem(404, "not_found", "There is no such upload.")


def _members(upload: FakeUpload) -> dict[str, Any]:
    received = sum(map(len, upload.chunks.values())) + sum(map(len, upload.parts.values()))
    return {
        "filename": upload.name,
        "upload_id": upload.upload_id,
        "state": "partial" if received else "pending",
        "size": upload.size,
        "received_bytes": received,
        "percent": round(100 * received / upload.size, 1),
        "chunk_size": CHUNK_SIZE,
        "chunk_count": -(-upload.size // CHUNK_SIZE),
        "missing": [],
        "next_offset": 0,
        "version": 1,
        "created_at": "2026-01-02T03:04:05Z",
        "updated_at": "2026-01-02T03:04:05Z",
        "expires_at": "2026-01-03T03:04:05Z",
    }


ROUTES = {"GET /status": _status}
