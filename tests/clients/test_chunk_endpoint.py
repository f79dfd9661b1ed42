"""`ChunkEndpoint=FunctionUrl` on the local service: the Python client and plain requests send chunks to that port."""

from __future__ import annotations

import http.client
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dev.local.client import FerryClient, expect
from dev.local.launcher import LocalService
from ferry_client.client import Ferry
from ferry_client.options import ClientOptions
from ferry_client.transport import HttpRequest, HttpResponse, UrllibTransport

SIZE = 2 * 4 * 1024 * 1024 + 5


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    parameters = "ChunkEndpoint=FunctionUrl ChunkConcurrency=10 StorageClass=INTELLIGENT_TIERING"
    started = LocalService(tmp_path_factory.mktemp("function-url") / "state", parameters=parameters)
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
def api(service: LocalService) -> FerryClient:
    client = service.connection_info["clients"][0]
    base_url = service.connection_info["base_url"]
    return FerryClient(base_url).authenticate(client["client_id"], client["client_secret"])


def call(url: str, method: str, path: str = "", **headers: str) -> http.client.HTTPResponse:
    """Send a request without a body to the origin of a URL, and return its response, read."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        connection.request(method, path or urlsplit(url).path, headers=headers)
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def test_chunks_go_to_port_of_their_own(service: LocalService, api: FerryClient) -> None:
    """The plan names another port; it serves chunks with a token and nothing else, and every origin may send them."""
    body = os.urandom(SIZE)
    plan = expect(api.start("by hand", SIZE), 201, "start").json
    url = plan["chunk_url"]
    assert urlsplit(url).path == "/upload/chunk"
    assert urlsplit(url).port != urlsplit(service.connection_info["base_url"]).port
    for index in range(1, plan["chunk_count"] + 1):
        chunk = body[(index - 1) * plan["chunk_size"] : index * plan["chunk_size"]]
        expect(api.send_chunk("by hand", index, chunk, chunk_url=url), 200, "chunk")
    expect(api.complete("by hand"), 200, "complete")

    assert call(url, "POST").status == 401
    challenge = call(url, "POST").getheader("x-amzn-remapped-www-authenticate")
    assert challenge is not None
    assert challenge.startswith("Bearer")
    for method, path in (("GET", "/health"), ("POST", "/upload/start"), ("GET", "/upload/chunk")):
        assert call(url, method, path).status == 404
    preflight = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    allowed = call(url, "OPTIONS", **preflight)
    assert (allowed.status, allowed.getheader("access-control-allow-origin")) == (204, "*")


class RecordingTransport(UrllibTransport):
    """Keeps the paths of requests, by port."""

    def __init__(self, options: ClientOptions) -> None:
        super().__init__(options)
        self.paths: dict[int | None, set[str]] = defaultdict(set)

    def send(self, request: HttpRequest) -> HttpResponse:
        url = urlsplit(request.url)
        self.paths[url.port].add(url.path)
        return super().send(request)


def test_python_client_sends_chunks_to_function_url(service: LocalService, tmp_path: Path) -> None:
    """The client takes `chunk_url` from the plan: all its chunks, and nothing else, go to that port."""
    source = tmp_path / "source.bin"
    source.write_bytes(os.urandom(SIZE))
    credentials, base_url = service.connection_info["clients"][0], service.connection_info["base_url"]
    options = ClientOptions(allow_direct=False)
    transport = RecordingTransport(options)
    with Ferry(
        base_url,
        client_id=credentials["client_id"],
        client_secret=credentials["client_secret"],
        options=options,
        transport=transport,
    ) as ferry:
        ferry.upload(source, "by the client")
    by_api = transport.paths.pop(urlsplit(base_url).port)
    assert "/upload/chunk" not in by_api
    assert list(transport.paths.values()) == [{"/upload/chunk"}]
