"""The web function: the console, the API's document as a page, and their assets."""

from __future__ import annotations

from pathlib import Path

from ferry import wiring
from ferry.http.pages import Pages
from ferry.http.request import Request
from ferry.http.response import Response
from ferry.http.router import create_app
from ferry.http.tracing import with_tracing
from ferry.http.urls import base_url

app = create_app()
lambda_handler = with_tracing(app.handle, wiring.tracing_enabled)
pages = Pages(Path(__file__).parent / "static")


@app.public("GET /")
def redirect_to_console(_: Request) -> Response:
    return Response(302, {"Location": "/console", "Cache-Control": "no-store"})


@app.public("GET /console")
def get_console(request: Request) -> Response:
    return _page(request, "console.html")


@app.public("GET /docs")
def get_docs(request: Request) -> Response:
    return _page(request, "docs.html")


@app.public("GET /assets/{asset+}")
def get_asset(request: Request) -> Response:
    return pages.asset(request)


def _page(request: Request, name: str) -> Response:
    settings = wiring.settings()
    return pages.page(
        request,
        name,
        base_url=base_url(request, settings.public_url),
        bucket_origin=wiring.bucket_origin(),
        chunk_endpoint=settings.chunk_endpoint,
    )
