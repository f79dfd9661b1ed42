"""Downloads in headless Chromium by a page of another origin, with the function of docs/download-guide.md."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from tests.clients.conftest import LARGE_SIZE_BYTES, NAME, SMALL_SIZE_BYTES, DownloadHarness, sha256_of
from tests.clients.download_guide_commands import runnable_blocks
from tests.clients.proxy import HOST

TIMEOUT_SECONDS = 240
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-dev-shm-usage", "--proxy-bypass-list=<-loopback>"),
]
PAGE = """<!doctype html><meta charset="utf-8"><script>
const post = (path, content) => fetch(path, { method: "POST", body: JSON.stringify(content) });
const brokenOff = (error) => post("/broken", String(error));
%(download)s
(async () => {
  const result = { origin: location.origin };
  try {
    const blob = await download(%(url)s, %(token)s);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
    result.sha256 = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    const headers = { Authorization: `Bearer ${%(token)s}`, Range: "bytes=0-9" };
    const response = await fetch(%(url)s, { headers });
    result.readable = Object.fromEntries(response.headers);
  } catch (error) {
    result.error = String(error);
  }
  await post("/result", result);
})();
</script>"""


class PageServer(ThreadingHTTPServer):
    """Serves the page and receives its `result`; `done` is set after that."""

    def __init__(self, page: str, on_broken: Callable[[], object]) -> None:
        super().__init__((HOST, 0), _Handler)
        self.page = page.encode()
        self.on_broken = on_broken
        self.result: dict[str, Any] = {}
        self.done = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    @property
    def page_server(self) -> PageServer:
        return cast(PageServer, self.server)

    def do_GET(self) -> None:
        self._respond(self.page_server.page if self.path == "/" else b"")

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/broken":
            self.page_server.on_broken()
            self._respond(b"")
            return
        self._respond(b"")
        self.page_server.result.update(content)
        self.page_server.done.set()

    def _respond(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def chromium(harness: DownloadHarness, url: str) -> Iterator[None]:
    """Run a browser with a fresh profile and the page open."""
    log = harness.work_folder / "chromium.log"
    profile = harness.work_folder / "profile"
    with log.open("wb") as output:
        running = subprocess.Popen(
            ["chromium", *FLAGS, f"--user-data-dir={profile}", f"--proxy-server={harness.proxy.url}", url],
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        running.terminate()
        running.wait(30)
        sys.stdout.write(log.read_text(errors="replace")[-3000:])


def download_in_browser(harness: DownloadHarness, on_broken: Callable[[], object]) -> dict[str, Any]:
    """Open a page that downloads the file, and return its result.

    Args:
        harness: the service and the proxy.
        on_broken: called when the page reports a broken connection, before it resumes.
    """
    values = {
        "url": json.dumps(f"{harness.client.base_url}/download/{NAME}"),
        "token": json.dumps(harness.client.token),
    }
    page_server = PageServer(PAGE % {**values, "download": runnable_blocks()["browser"]}, on_broken)
    thread = threading.Thread(target=page_server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        with chromium(harness, f"http://{HOST}:{page_server.server_address[1]}/"):
            assert page_server.done.wait(TIMEOUT_SECONDS), "the page sent no result"
    finally:
        page_server.shutdown()
        thread.join()
        page_server.server_close()
    return page_server.result


def test_download_interrupted_resumes(harness: DownloadHarness) -> None:
    """The page resumes across the redirect, S3 receives no token, and the page can read the response headers."""
    body = harness.upload_large()
    harness.proxy.break_after(LARGE_SIZE_BYTES // 2)
    result = download_in_browser(harness, lambda: harness.proxy.break_after(LARGE_SIZE_BYTES // 4 * 3))
    assert result.get("error") is None
    assert result["sha256"] == sha256_of(body)
    assert {"accept-ranges", "content-range", "etag", "last-modified", "repr-digest"} <= result["readable"].keys()
    assert not harness.proxy.is_broken()
    harness.assert_no_token_at_s3()
    assert {request.headers["origin"] for request in harness.proxy.requests_to(harness.s3)} == {"null"}
    api = [request for request in harness.proxy.requests_to(harness.client.base_url) if request.method == "GET"]
    assert {request.headers["origin"] for request in api} == {result["origin"]}


def test_download_file_replaced_midway_restarts(harness: DownloadHarness) -> None:
    """The page starts again and has the whole new file."""
    harness.upload(SMALL_SIZE_BYTES, seed=22)
    bodies: list[bytes] = []

    def replace() -> None:
        bodies.append(harness.upload(SMALL_SIZE_BYTES, seed=23))
        harness.proxy.restore()

    harness.proxy.break_after(SMALL_SIZE_BYTES // 2)
    result = download_in_browser(harness, replace)
    assert result.get("error") is None
    assert result["sha256"] == sha256_of(bodies[-1])
