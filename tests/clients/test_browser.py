"""Headless Chromium, with a page of another origin, by the function of docs/downloads.md."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from tests.clients.conftest import BIG, LESS, NAME, Bench, sum_of
from tests.clients.manual import commands
from tests.clients.proxy import HOST

PATIENCE = 240
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
    const answer = await fetch(%(url)s, { headers: { Authorization: `Bearer ${%(token)s}`, Range: "bytes=0-9" } });
    result.readable = Object.fromEntries(answer.headers);
  } catch (error) {
    result.error = String(error);
  }
  await post("/result", result);
})();
</script>"""


class Site(ThreadingHTTPServer):
    """Serves the page, and hears what it has to say: `told`, once `done`."""

    def __init__(self, page: str, when_broken: Callable[[], object]) -> None:
        super().__init__((HOST, 0), _Handler)
        self.page = page.encode()
        self.when_broken = when_broken
        self.told: dict[str, Any] = {}
        self.done = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    @property
    def site(self) -> Site:
        return cast(Site, self.server)

    def do_GET(self) -> None:
        self._answer(self.site.page if self.path == "/" else b"")

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/broken":
            self.site.when_broken()
            self._answer(b"")
            return
        self._answer(b"")
        self.site.told.update(content)
        self.site.done.set()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def chromium(bench: Bench, url: str) -> Iterator[None]:
    """A browser of its own, with that page open."""
    log = bench.folder / "chromium.log"
    profile = bench.folder / "profile"
    with log.open("wb") as output:
        running = subprocess.Popen(
            ["chromium", *FLAGS, f"--user-data-dir={profile}", f"--proxy-server={bench.proxy.url}", url],
            stdout=output,
            stderr=output,
        )
    try:
        yield
    finally:
        running.terminate()
        running.wait(30)
        sys.stdout.write(log.read_text(errors="replace")[-3000:])


def visit(bench: Bench, when_broken: Callable[[], object]) -> dict[str, Any]:
    """What the page says once it has the file."""
    values = {"url": json.dumps(f"{bench.api.base_url}/download/{NAME}"), "token": json.dumps(bench.api.token)}
    site = Site(PAGE % {**values, "download": commands()["browser"]}, when_broken)
    serving = threading.Thread(target=site.serve_forever, kwargs={"poll_interval": 0.05})
    serving.start()
    try:
        with chromium(bench, f"http://{HOST}:{site.server_address[1]}/"):
            assert site.done.wait(PATIENCE), "the page has said nothing"
    finally:
        site.shutdown()
        serving.join()
        site.server_close()
    return site.told


def test_a_download_broken_off_half_way_goes_on(bench: Bench) -> None:
    """From another origin, through the redirect, without the token at S3; headers a page needs are readable."""
    body = bench.upload(BIG, seed=21)
    bench.proxy.break_after(BIG // 2)
    told = visit(bench, lambda: bench.proxy.break_after(BIG // 4 * 3))
    assert told.get("error") is None
    assert told["sha256"] == sum_of(body)
    assert {"accept-ranges", "content-range", "etag", "last-modified", "repr-digest"} <= told["readable"].keys()
    assert not bench.proxy.is_broken()
    bench.assert_no_token_at_s3()
    assert {request.headers["origin"] for request in bench.proxy.to(bench.s3)} == {"null"}
    api = [request for request in bench.proxy.to(bench.api.base_url) if request.method == "GET"]
    assert {request.headers["origin"] for request in api} == {told["origin"]}


def test_a_file_replaced_in_the_middle_is_never_mixed(bench: Bench) -> None:
    """The page begins again, and has the new file whole."""
    bench.upload(LESS, seed=22)
    bodies: list[bytes] = []

    def replace() -> None:
        bodies.append(bench.upload(LESS, seed=23))
        bench.proxy.mend()

    bench.proxy.break_after(LESS // 2)
    told = visit(bench, replace)
    assert told.get("error") is None
    assert told["sha256"] == sum_of(bodies[-1])
