"""The console in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Playwright, expect, sync_playwright

from dev.local.launcher import LocalService
from tests.e2e.clients import log_in_as

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox"]
LARGE_BYTES = 30_000_001
RESUMED_BYTES = 120_000_001
TIMEOUT_MS = 60_000

pytestmark = pytest.mark.skipif(
    not Path(CHROMIUM).exists(), reason="Chromium is not installed: apt-get install chromium"
)


@pytest.fixture(scope="module")
def local_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    service = LocalService(tmp_path_factory.mktemp("console") / "state")
    yield service
    service.stop()


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


class Visit:
    """A page, what its console said, and where its requests went."""

    def __init__(self, context: BrowserContext, service: LocalService) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.problems: list[str] = []
        self.origins: set[str] = set()
        self._service = service
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.origins.add(_origin(request.url)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(text)

    def sign_in(self) -> None:
        client = self._service.connection_info["clients"][0]
        self.page.goto(f"{self._service.connection_info['base_url']}/")
        self.page.get_by_label("Client id").fill(client["client_id"])
        self.page.get_by_label("Client secret").fill(client["client_secret"])
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("button", name="Upload files")).to_be_visible()

    def upload(self, *paths: Path) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name="Upload files").click()
        chooser.value.set_files(list(paths))

    def expect_complete(self, name: str) -> None:
        card = self.page.locator("li.card", has_text=name).first
        expect(card).to_contain_text("complete", timeout=TIMEOUT_MS)

    def check(self) -> None:
        """Check that the console was silent, and that every request went to the API or the bucket."""
        assert not self.problems
        assert self.origins <= {
            self._service.connection_info["base_url"],
            self._service.connection_info["s3_endpoint"].rstrip("/"),
        }


@pytest.fixture
def visit(playwright: Playwright, local_service: LocalService) -> Iterator[Visit]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    visit = Visit(browser.new_context(), local_service)
    yield visit
    browser.close()


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[[str, int], Path]:
    def make(name: str, size: int) -> Path:
        path = tmp_path / name
        path.write_bytes(random.Random(name).randbytes(size))
        return path

    return make


def test_console_uploads_previews_moves_and_restores(
    visit: Visit, local_service: LocalService, tmp_path: Path, make_file: Callable[[str, int], Path]
) -> None:
    """A visit: sign in, upload by one request and in parts, preview, rename into a folder, delete, undo."""
    visit.sign_in()
    note, large = tmp_path / "note.txt", make_file("large.bin", LARGE_BYTES)
    note.write_text("hello\n")
    visit.upload(note, large)
    visit.expect_complete("note.txt")
    visit.expect_complete("large.bin")
    page = visit.page
    page.get_by_role("button", name="Files", exact=True).click()
    page.get_by_role("button", name="note.txt", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("note.txt")
    expect(page.frame_locator("dialog iframe").locator("body")).to_contain_text("hello")
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Rename or move: note.txt").click()
    page.get_by_label("New name").fill("texts/note.txt")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="texts/")).to_be_visible()
    page.get_by_role("button", name="Delete: large.bin").click()
    expect(page.get_by_role("button", name="large.bin", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="large.bin", exact=True)).to_be_visible()
    api = log_in_as(local_service, "demo")
    assert api.download("large.bin").body == large.read_bytes()
    assert api.download("texts/note.txt").body == b"hello\n"
    visit.check()


def test_console_shows_hostile_names_as_text(visit: Visit, tmp_path: Path) -> None:
    """A name that is markup is shown as it is, and nothing of it runs; SVG is never shown inline."""
    visit.sign_in()
    name = '<img src=x onerror="document.title=1">.svg'
    path = tmp_path / name
    path.write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>parent.document.title = 1</script></svg>')
    visit.upload(path)
    visit.expect_complete("onerror")
    visit.page.get_by_role("button", name="Files", exact=True).click()
    row = visit.page.get_by_role("button", name=name, exact=True)
    expect(row).to_have_attribute("title", "Download")
    assert visit.page.title() == "Ferry"
    visit.check()


def test_upload_resumes_after_the_browser_was_killed(
    playwright: Playwright, local_service: LocalService, tmp_path: Path, make_file: Callable[[str, int], Path]
) -> None:
    """After kill -9 of the browser, choosing the same file again continues the upload."""
    source, profile = make_file("resumed.bin", RESUMED_BYTES), tmp_path / "profile"
    context = playwright.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=FLAGS)
    first = Visit(context, local_service)
    first.sign_in()
    first.upload(source)
    api = log_in_as(local_service, "demo")
    received = _wait_for_bytes(lambda: api.status("resumed.bin").json.get("received_bytes", 0), RESUMED_BYTES)
    for pid in _processes_of(profile):
        os.kill(pid, signal.SIGKILL)
    context = playwright.chromium.launch_persistent_context(tmp_path / "profile", executable_path=CHROMIUM, args=FLAGS)
    second = Visit(context, local_service)
    second.sign_in()
    second.page.get_by_role("button", name="Uploads", exact=True).click()
    with second.page.expect_file_chooser() as chooser:
        second.page.get_by_role("button", name="Resume: resumed.bin").click()
    chooser.value.set_files(source)
    second.expect_complete("resumed.bin")
    assert 0 < received < RESUMED_BYTES
    assert api.status("resumed.bin").json["state"] == "complete"
    assert api.download("resumed.bin").body == source.read_bytes()
    context.close()


def test_docs_page_tries_a_request(visit: Visit, local_service: LocalService) -> None:
    """`/docs` lists the operations, and sends one."""
    visit.page.goto(f"{local_service.connection_info['base_url']}/docs")
    visit.page.get_by_text("Check that the service responds").click()
    card = visit.page.locator("#getHealth")
    card.get_by_role("button", name="Send").click()
    expect(card.locator("pre")).to_contain_text('"status":"ok"')
    visit.check()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _wait_for_bytes(read: Callable[[], int], size: int) -> int:
    """Return how many bytes the service has once it has some."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        received = read()
        if received:
            return received
        time.sleep(0.05)
    raise AssertionError(f"no byte of {size} arrived")


def _processes_of(profile: Path) -> list[int]:
    """Return the processes of the browser with this profile."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if f"--user-data-dir={profile}".encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found
