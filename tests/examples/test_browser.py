"""examples/browser/ferry.js: every function is called by a page of another origin in headless Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from dev.paths import ROOT
from tests.examples.conftest import CHUNKED_SIZE_BYTES, Credentials
from tests.examples.recording_proxy import HOST, RecordingProxy, documented_routes

TIMEOUT_SECONDS = 120
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server"),
)
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
import * as api from "/ferry.js";
const { url, clientId, clientSecret, name, size } = %(settings)s;
const result = {};
try {
  const [health] = await api.discover(url);
  result.health = health.status;
  const ferry = api.connect(url, await api.getToken(url, clientId, clientSecret));

  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65536, size)));
  const same = async (blob, first, last) => {
    const got = new Uint8Array(await blob.arrayBuffer());
    return got.length === last - first && got.every((byte, at) => byte === bytes[first + at]);
  };

  const progress = [];
  const file = new File([bytes], name);
  result.uploaded = (await api.upload(ferry, file, (received) => progress.push(received))).state;
  result.progress = progress;
  result.repeated = (await api.upload(ferry, file)).state;
  result.downloaded = await same(await api.download(ferry, name), 0, size);
  result.range = await same(await api.downloadRange(ferry, name, 4194000, 4194999), 4194000, 4195000);

  const second = `${name} #2?`;
  result.parts = (await api.uploadParts(ferry, new File([bytes], second))).state;
  result.partsDownloaded = await same(await api.byName.download(ferry, second), 0, size);
  result.partsRange = await same(await api.byName.downloadRange(ferry, second, 0, 9), 0, 10);
  result.size = (await api.byName.head(ferry, second)).headers.get("Content-Length");
  await api.byName.headRange(ferry, second);
  result.listed = (await api.listFiles(ferry, name)).map((each) => each.filename);
  const small = `${name} #4`;
  const put = await api.putFile(ferry, small, new Blob(["small"], { type: "text/plain" }), { a: "ü" });
  const kept = await api.putFile(ferry, small, new Blob(["other"])).catch((caught) => caught);
  result.put = [put.content_type, put.metadata.a, kept.current_file.etag === put.etag];
  const changed = await api.changeFile(ferry, small, put.etag, { content_type: "text/csv" });
  await api.byName.putFile(ferry, small, "new");
  await api.byName.changeFile(ferry, small, { content_type: "a/b" });
  const record = await api.getRecord(ferry, small);
  result.records = [changed.content_type, record.content_type, (await api.byName.getRecord(ferry, small)).size];
  result.usage = await api.usage(ferry);
  await api.byName.putFile(ferry, `${name}/below/a`, "a");
  const moved = await api.moveFile(ferry, small, `${name}/b`, put.etag).catch((caught) => caught.code);
  const current = await api.getRecord(ferry, small);
  await api.moveFile(ferry, small, `${name}/b`, current.etag);
  const folder = await api.listFolder(ferry, `${name}/`);
  result.folder = [moved, ...folder.folders, ...folder.files.map((each) => each.filename)];
  const resumable = await api.createResumable(ferry, `${name}/ü`, size);
  const appended = await api.append(ferry, resumable, 0, bytes.slice(0, 10), true);
  await api.sendResumable(ferry, resumable, new File([bytes], name));
  const other = await api.createResumable(ferry, `${name}/other`, 1);
  await api.cancelResumable(ferry, other);
  result.resumable = [appended, await same(await api.download(ferry, `${name}/ü`), 0, size)];
  await api.deleteFile(ferry, `${name}/ü`);
  const shared = await api.createLink(ferry, { kind: "download", filename: `${name}/b`, max_downloads: 3 });
  const sharedFolder = await api.createLink(ferry, { kind: "download", prefix: `${name}/` });
  const sharedFiles = (await api.byLink.files(url, sharedFolder.secret)).map((each) => each.filename);
  result.links = [
    (await api.byLink.open(url, shared.secret)).filename,
    (await api.byLink.download(url, shared.secret)).size,
    (await api.byLink.download(url, sharedFolder.secret, `${name}/below/a`)).size,
    sharedFiles,
    (await api.getLink(ferry, shared.link_id)).used.downloads,
    (await api.linkActivity(ferry, shared.link_id)).map((each) => each.action),
    (await api.listLinks(ferry))[0].link_id === sharedFolder.link_id,
  ];
  const closed = await api.createLink(ferry, { kind: "download", prefix: `${name}/`, password: "correct horse" });
  result.linkToken = (await api.byLink.token(url, closed.secret, "correct horse")).split(".").length;
  const inbox = await api.createLink(ferry, { kind: "upload", prefix: `${name}/in/` });
  const handed = await api.sendByLink(inbox.url, "ü/a", new File([bytes], name));
  const guest = api.connect(inbox.url);
  const half = await api.createResumable(guest, "half", 2);
  const received = await api.append(guest, half, 0, bytes.slice(0, 1), true);
  await api.cancelResumable(guest, half);
  result.handed = [
    handed.startsWith(`${inbox.url}/uploads/`),
    received,
    await same(await api.download(ferry, `${name}/in/ü/a`), 0, size),
    (await api.getLink(ferry, inbox.link_id)).used.files,
  ];
  await api.deleteFile(ferry, `${name}/in/ü/a`);
  await api.deleteLink(ferry, shared.link_id);
  result.robots = await (await fetch(`${url}/robots.txt`)).text();
  const gone = await api.deleteFiles(ferry, [`${name}/b`, small]);
  const lost = (await api.listDeleted(ferry, `${name}/b`)).map((each) => each.filename);
  result.restored = [gone.deleted, gone.missing, lost, (await api.restoreFile(ferry, `${name}/b`)).filename];
  await api.moveFile(ferry, `${name}/b`, small, current.etag);
  await api.deleteFiles(ferry, [`${name}/below/a`]);
  await api.deleteFile(ferry, small);
  await api.byName.delete(ferry, second);
  await api.deleteFile(ferry, name);
  result.left = (await api.listFiles(ferry, name)).length;

  const third = `${name} #3`;
  await ferry("POST", "/upload/start", { json: { filename: third, size: 1 } });
  result.uploads = (await api.listUploads(ferry)).some((each) => each.filename === third);
  result.wouldExpire = (await api.cleanup(ferry, 0, true)) > 0;
  const states = [];
  const watching = api.watch(ferry, third, (status) => states.push(status.state), 5);
  await api.cancel(ferry, third);
  await api.byName.cancel(ferry, third);
  result.ended = (await watching).state;
  result.status = (await api.byName.status(ferry, third)).state;
  const error = await api.downloadRange(ferry, "absent", 0, 1).catch((caught) => caught);
  result.error = error instanceof Error;
  const conflict = await ferry("POST", "/upload/chunk", { json: { filename: third, chunk_index: 1, data: "eA==" } })
    .catch((caught) => caught);
  result.code = conflict.code;
} catch (error) {
  result.failure = `${error} ${error.stack}`;
}
await fetch("/result", { method: "POST", body: JSON.stringify(result) });
</script>"""


class PageServer(ThreadingHTTPServer):
    """Serves the page and the module, and receives the page's result."""

    daemon_threads = True

    def __init__(self, page: str) -> None:
        super().__init__((HOST, 0), _Handler)
        module = (ROOT / "examples/browser/ferry.js").read_bytes()
        self.files = {"/": ("text/html", page.encode()), "/ferry.js": ("text/javascript", module)}
        self.result: dict[str, Any] = {}
        self.done = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        content_type, content = cast(PageServer, self.server).files.get(self.path, ("text/plain", b""))
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        server = cast(PageServer, self.server)
        server.result = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        server.done.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Keep the tests' output free of requests."""


@pytest.fixture(scope="module")
def result(credentials: Credentials, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the page found out; it runs once for all tests of this file."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed")
    settings = {
        "url": credentials.url,
        "clientId": credentials.client_id,
        "clientSecret": credentials.client_secret,
        "name": "browser.bin",
        "size": CHUNKED_SIZE_BYTES,
    }
    server = PageServer(PAGE % {"settings": json.dumps(settings)})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    profile: Path = tmp_path_factory.mktemp("chromium")
    command = [chromium, *FLAGS, f"--user-data-dir={profile}", f"http://{HOST}:{server.server_address[1]}/"]
    browser = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert server.done.wait(TIMEOUT_SECONDS), "the page sent no result"
        yield server.result
    finally:
        browser.terminate()
        browser.wait(30)
        server.shutdown()
        server.server_close()


def test_page_uploads_and_downloads_same_bytes(result: dict[str, Any]) -> None:
    """Through the API in chunks: whole and as a range, across the redirect to S3."""
    assert result.get("failure") is None
    assert (result["health"], result["uploaded"], result["repeated"]) == ("ok", "complete", "complete")
    assert result["progress"] == [4_194_304, 8_388_608, CHUNKED_SIZE_BYTES]
    assert result["downloaded"] is True
    assert result["range"] is True


def test_page_uploads_parts_to_s3(result: dict[str, Any]) -> None:
    """Directly to S3, under a name that needs the query form."""
    assert result["parts"] == "complete"
    assert result["partsDownloaded"] is True
    assert result["partsRange"] is True
    assert result["size"] == str(CHUNKED_SIZE_BYTES)


def test_page_lists_and_deletes_files(result: dict[str, Any]) -> None:
    """Both files are listed by name and then deleted."""
    assert result["listed"] == ["browser.bin", "browser.bin #2?"]
    assert result["left"] == 0


def test_page_stores_and_changes_file(result: dict[str, Any]) -> None:
    """A small file in one request, its record and its changes; an existing file stays."""
    assert result["put"] == ["text/plain", "ü", True]
    assert result["records"] == ["text/csv", "a/b", 3]
    assert result["usage"] == {}


def test_page_shows_folders_moves_and_restores(result: dict[str, Any]) -> None:
    """A move under an old ETag fails; a folder shows what is in it; a deleted file is restored."""
    assert result["folder"] == ["precondition_failed", "browser.bin/below/", "browser.bin/b"]
    small, moved = "browser.bin #4", "browser.bin/b"
    assert result["restored"] == [[moved], [small], [moved], moved]


def test_page_appends_to_resumable_upload(result: dict[str, Any]) -> None:
    """Ten bytes by POST and the rest by PATCH make the file."""
    assert result["resumable"] == [10, True]


def test_page_shares_by_links(result: dict[str, Any]) -> None:
    """Without a token, a file and a folder are fetched by their links, which count."""
    below = "browser.bin/below/a"
    assert result["links"] == ["browser.bin/b", 3, 1, ["browser.bin/b", below], 1, ["download"], True]
    assert "Disallow: /l/" in result["robots"]
    assert result["linkToken"] == 3


def test_page_sends_by_a_link(result: dict[str, Any]) -> None:
    """Without a token, a file is sent by an upload link, below whose address the upload is; a cancelled one is gone."""
    assert result["handed"] == [True, 1, True, 1]


def test_page_watches_and_cancels_upload(result: dict[str, Any]) -> None:
    """The watcher sees the cancellation; later requests get the stable code."""
    assert result["uploads"] is True
    assert result["wouldExpire"] is True
    assert (result["ended"], result["status"], result["code"]) == ("cancelled", "cancelled", "upload_cancelled")
    assert result["error"] is True


def test_page_calls_every_route(result: dict[str, Any], proxy: RecordingProxy) -> None:
    """The page has called each route of the API description."""
    assert result
    assert documented_routes() - proxy.called == set()
