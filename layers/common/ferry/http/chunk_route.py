"""The route that takes chunks. The upload function serves it behind the API, the chunk function at a URL of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ferry.http import uploads
from ferry.http.bearer import WRITE_SCOPE
from ferry.http.request import Request
from ferry.http.response import Response
from ferry.http.router import Router

if TYPE_CHECKING:
    from ferry.links.downloads import LinkCaller
    from ferry.services import Services

ROUTE = "POST /upload/chunk"


def add_chunk_route(app: Router, services: Callable[[], Services]) -> None:
    """Register the route, for tokens of clients and for those of upload links."""

    @app.protected(ROUTE, scope=WRITE_SCOPE, parameters=uploads.CHUNK_PARAMETERS)
    def send_chunk(request: Request, ns: str) -> Response:
        from ferry.uploads.chunk import accept_chunk

        chunk = uploads.chunk_request(request)
        return uploads.chunk_response(chunk, accept_chunk(services(), ns, chunk))

    @app.by_link(ROUTE, kind="upload")
    def send_chunk_by_link(request: Request, caller: LinkCaller) -> Response:
        from ferry.links.uploads import link_services, require_within
        from ferry.uploads.chunk import accept_chunk

        chunk = uploads.chunk_request(request)
        require_within(caller.link, chunk.name)
        accepted = accept_chunk(link_services(services(), caller), caller.link.ns, chunk)
        return uploads.chunk_response(chunk, accepted)
