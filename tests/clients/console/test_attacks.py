"""Attacks on the console: markup of strangers, frames, redirects, and where a secret could be left."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from dev.local.client import FerryClient, fetch
from dev.local.client import expect as expect_status
from dev.local.launcher import LocalService
from tests.clients.console.visit import Visit
from tests.e2e.clients import log_in_as

MARKUP = '"><img src=x onerror="window.hacked=1"><svg onload="window.hacked=1">'
SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>parent.hacked = 1</script></svg>'
TURNED = "attack\u202egpj.exe"
"""Reads as `attackexe.jpg` where the override holds (U+202E)."""

FILES = {
    f"attack{MARKUP.replace('/', '')}.txt": "text/plain",
    "attack.svg": "image/svg+xml",
    "attack.html": "text/html",
    "attack.xml": "application/xml",
    "attack.js": "text/javascript",
    "javascript:alert(1)": "text/html; charset=utf-8",
    TURNED: "application/octet-stream",
}


@pytest.fixture(scope="module", autouse=True)
def hostile_files(local_service: LocalService) -> None:
    """Files whose names, types and metadata are markup, one of them deleted."""
    api = log_in_as(local_service, "demo")
    metadata = base64.b64encode(json.dumps({"note": MARKUP, MARKUP[:40]: "x"}).encode()).decode()
    for name, content_type in FILES.items():
        headers = {"Content-Type": content_type, "Ferry-Metadata": metadata}
        expect_status(api.request("PUT", f"/files/{quote(name, safe='')}", SCRIPT, headers), 201, "put")
    deleted = quote(f"gone {MARKUP.replace('/', '')}", safe="")
    expect_status(api.request("PUT", f"/files/{deleted}", SCRIPT), 201, "put")
    api.request("DELETE", f"/files/{deleted}")
    expect_status(api.start(f"upload {MARKUP.replace('/', '')}", 10_000_000), 201, "start")


def assert_not_hacked(visit: Visit) -> None:
    assert visit.page.evaluate("window.hacked") is None
    assert visit.page.locator("main img, main svg:not(.qr), main script").count() == 0


def test_markup_of_strangers_stays_text(visit: Visit, api: FerryClient) -> None:
    """Names, types, metadata and labels that are markup are shown as they are, in every view."""
    created = expect_status(api.post("/links", kind="download", prefix="x/", label=MARKUP), 201, "link").json
    fetch("GET", created["url"])
    visit.sign_in()
    expect(visit.button("attack.svg")).to_be_visible()
    assert_not_hacked(visit)
    expect(visit.button(TURNED.replace("\u202e", "\ufffd"))).to_be_visible()
    assert "\u202e" not in str(visit.page.inner_text("main"))
    for tab, text in (("Links", MARKUP), ("Uploads", "upload "), ("Deleted", "gone ")):
        visit.open_tab(tab)
        expect(visit.page.get_by_text(text).first).to_be_visible()
        assert_not_hacked(visit)
    visit.open_tab("Links")
    visit.button(f"Activity: {MARKUP}").first.click()
    expect(visit.page.get_by_role("dialog")).to_be_visible()
    assert_not_hacked(visit)
    visit.page.goto(created["url"])
    expect(visit.page.get_by_role("heading", name=MARKUP)).to_be_visible()
    assert_not_hacked(visit)
    visit.check()


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(".txt") and name != TURNED])
def test_active_content_is_never_shown(visit: Visit, name: str) -> None:
    """SVG, HTML, XML and scripts are downloaded: no preview, and no page of this origin."""
    visit.sign_in()
    expect(visit.button(name)).to_have_attribute("title", "Download")
    with visit.page.expect_download():
        visit.button(name).click()
    assert_not_hacked(visit)
    visit.check()


def test_type_that_lies_is_not_run(visit: Visit, api: FerryClient) -> None:
    """Markup that claims to be plain text is shown as text; markup that claims to be an image is none."""
    for name, content_type in (("lie.txt", "text/plain"), ("lie.png", "image/png")):
        expect_status(api.request("PUT", f"/files/{name}", SCRIPT, {"Content-Type": content_type}), 201, "put")
    visit.sign_in()
    visit.button("lie.txt").click()
    expect(visit.page.frame_locator("dialog iframe").locator("body")).to_contain_text("parent.hacked")
    visit.button("Close").click()
    visit.button("lie.png").click()
    expect(visit.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("cannot show")
    assert_not_hacked(visit)
    visit.check()


@pytest.mark.parametrize("path", ["/console", "/docs", "/l/link"])
def test_page_is_shown_in_no_frame(visit: Visit, api: FerryClient, path: str) -> None:
    """A page of another origin cannot frame the console, the document or a link, as it can frame other responses."""
    is_link = path == "/l/link"
    url = (
        expect_status(api.post("/links", kind="upload"), 201, "link").json["url"] if is_link else visit.base_url + path
    )
    with serve(f'<iframe src="{visit.base_url}/health"></iframe><iframe src="{url}"></iframe>') as attacker:
        visit.page.goto(attacker)
        expect(visit.page.frame_locator("iframe").first.locator("body")).to_contain_text("ok")
    _, unprotected, protected = visit.page.frames
    assert unprotected.url.endswith("/health")
    assert protected.url.startswith("chrome-error:")


@contextlib.contextmanager
def serve(html: str) -> Iterator[str]:
    """Serve a page on an origin of its own, and yield its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_nothing_redirects_to_another_origin(api: FerryClient) -> None:
    """Paths that look like addresses lead nowhere else."""
    for path in ("/assets/current//evil.example", "/assets/current/%2F%2Fevil.example/main.js", "//evil.example"):
        response = fetch("GET", api.base_url + path)
        assert response.status == 404, path
        assert "location" not in {name.lower() for name in response.headers}


def test_broken_address_shows_all_files(visit: Visit) -> None:
    """An address that someone made up shows the files, and is no error."""
    visit.sign_in()
    for hash_ in ("#/files/%", "#/links/../%zz", "#/<img src=x onerror=alert(1)>", "#javascript:alert(1)"):
        visit.page.goto(f"{visit.base_url}/console{hash_}")
        expect(visit.page.get_by_role("navigation").first).to_be_visible()
    visit.page.goto(f"{visit.base_url}/console#/files/%")
    expect(visit.button("attack.svg")).to_be_visible()
    visit.check()


def test_sign_in_leaves_no_secret(visit: Visit, local_service: LocalService) -> None:
    """Neither secret nor token is in a URL, in the page, or in anything that the browser keeps."""
    tokens: list[str] = []
    visit.page.on("response", lambda response: note_token(response, tokens))
    visit.sign_in()
    expect(visit.button("attack.svg")).to_be_visible()
    secret = local_service.connection_info["clients"][0]["client_secret"]
    kept = visit.read_storage() + visit.page.content()
    values = visit.page.evaluate("JSON.stringify([...document.querySelectorAll('input')].map((each) => each.value))")
    for value in (secret, *tokens):
        assert value not in kept + values
        assert all(value not in url for url in visit.urls)
    assert len(tokens) == 1
    visit.button("Sign out").click()
    expect(visit.page.get_by_label("Client secret")).to_have_value("")
    visit.check()


def note_token(response: Any, tokens: list[str]) -> None:
    if response.url.endswith("/auth/token"):
        tokens.append(response.json()["access_token"])


def test_presigned_requests_carry_no_token(visit: Visit, local_service: LocalService) -> None:
    """S3 gets neither a token nor a referrer."""
    visit.sign_in()
    visit.button(next(iter(FILES))).click()
    expect(visit.page.locator("dialog iframe")).to_be_visible()
    visit.page.wait_for_timeout(500)
    s3 = local_service.connection_info["s3_endpoint"].rstrip("/")
    sent = [headers for url, headers in zip(visit.urls, visit.headers, strict=True) if url.startswith(s3)]
    assert sent
    assert all("bearer" not in headers.lower() and "'referer'" not in headers.lower() for headers in sent)
