"""The links of the service in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from client.tests.fake_responses import problem, reply
from ferry_client.transport import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from client.tests.fake_service import FakeService


def create(service: FakeService, request: Any, query: Any, members: dict[str, Any], body: bytes) -> HttpResponse:
    """Serve a creation."""
    del request, query, body
    if members.get("filename") is not None and members["filename"] not in service.files:
        return problem(404, "not_found", "There is no such file.")
    link_id = service.new_id()
    link = {name: members[name] for name in ("kind", "filename", "prefix", "label") if members.get(name)}
    if members["kind"] == "download":
        link["max_downloads"] = members.get("max_downloads", 1000)
    else:
        link.setdefault("prefix", f"uploads/{link_id}/")
        link |= {"max_files": members.get("max_files", 1000), "max_bytes": members.get("max_bytes", 100 * 2**30)}
    link |= {"link_id": link_id, "password": "password" in members, "state": "active", "created_by": "camera-7"}
    link |= {"used": {"downloads": 0, "files": 0, "bytes": 0}, "created_at": "2026-01-02T03:04:05.000Z"}
    link["expires_at"] = "2026-01-09T03:04:05.000Z"
    service.links.insert(0, link)
    return reply(201, {**link, "url": f"https://ferry.test/l/secret-of-{link_id}"})


def list_links(service: FakeService, request: Any, query: dict[str, str], members: Any, body: bytes) -> HttpResponse:
    """Serve the links, two a page."""
    del request, members, body
    first = int(query.get("cursor", "0"))
    more = {"cursor": str(first + 2)} if first + 2 < len(service.links) else {}
    return reply(200, {"links": service.links[first : first + 2], **more})


def get(service: FakeService, request: HttpRequest, query: Any, members: Any, body: bytes) -> HttpResponse:
    """Serve one link."""
    del query, members, body
    link = _find(service, request)
    return reply(200, link) if link else problem(404, "not_found", "There is no such link.")


def revoke(service: FakeService, request: HttpRequest, query: Any, members: Any, body: bytes) -> HttpResponse:
    """End a link."""
    del query, members, body
    link = _find(service, request)
    if link is None:
        return problem(404, "not_found", "There is no such link.")
    link["state"] = "revoked"
    return HttpResponse(204, {})


def activity(service: FakeService, request: HttpRequest, query: Any, members: Any, body: bytes) -> HttpResponse:
    """Serve what happened by a link."""
    del query, members, body
    if _find(service, request) is None:
        return problem(404, "not_found", "There is no such link.")
    entries = [
        {"at": "2026-01-03T00:00:00.000Z", "action": "wrong_password", "network": "192.0.2.0/24"},
        {"at": "2026-01-02T04:00:00.000Z", "action": "download", "network": "192.0.2.0/24", "filename": "a", "size": 5},
    ]
    return reply(200, {"activity": entries})


def _find(service: FakeService, request: HttpRequest) -> dict[str, Any] | None:
    link_id = urlsplit(request.url).path.split("/")[2]
    return next((link for link in service.links if link["link_id"] == link_id), None)


ROUTES: Mapping[str, Any] = {
    "POST /links": create,
    "GET /links": list_links,
    "GET /links/{link_id}": get,
    "DELETE /links/{link_id}": revoke,
    "GET /links/{link_id}/activity": activity,
}
