"""The console in a real browser: files, folders, uploads that survive, and the API's document as a page."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Playwright, Route, expect

from dev.bench.browser_memory import main_processes, memory_by_kind
from dev.local.client import FerryClient
from dev.local.client import expect as expect_status
from dev.local.launcher import LocalService
from dev.testing.chromium import CHROMIUM, FLAGS
from tests.clients.console.visit import Visit, wait_until
from tests.e2e.clients import log_in_as

LARGE_BYTES = 30_000_001
RESUMED_BYTES = 200_000_001
"""More than a browser may need, although it has received some of it before it is killed."""

MAX_GROWTH_BYTES = 100_000_000
"""What a browser may need beyond the open page: what a worker reads before it ends, and what goes to sockets."""


def test_page_loads_again_where_a_script_did_not_load(visit: Visit) -> None:
    """A busy service answers 429 to one script of the page: the page asks again until it has them all."""
    attempts: list[str] = []

    def fail_twice(route: Route) -> None:
        attempts.append(route.request.url)
        if len(attempts) <= 2:
            route.fulfill(status=429)
        else:
            route.continue_()

    visit.page.route("**/dom.js", fail_twice)
    visit.sign_in()
    assert len(attempts) == 3


def test_console_uploads_previews_moves_and_restores(
    visit: Visit, api: FerryClient, tmp_path: Path, make_file: Callable[[str, int], Path]
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
    page.get_by_label("New name").fill("large.bin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("already there. Choose another name.")
    expect(page.get_by_label("New name")).to_have_value("large.bin")
    page.get_by_label("New name").fill("texts/note.txt")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="texts/", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete: large.bin").click()
    expect(page.get_by_role("button", name="large.bin", exact=True)).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="large.bin", exact=True)).to_be_visible()
    assert api.download("large.bin").body == large.read_bytes()
    assert api.download("texts/note.txt").body == b"hello\n"
    visit.check(allowed="status of 409")


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
    assert visit.page.title() == "Files · Ferry"
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
    wait_until(lambda: api.status("resumed.bin").json.get("received_bytes", 0))
    for pid in main_processes(profile):
        os.kill(pid, signal.SIGKILL)
    context = playwright.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=FLAGS)
    second = Visit(context, local_service)
    second.sign_in()
    second.open_tab("Uploads")
    expect(second.button("Resume: resumed.bin")).to_be_visible()
    before_bytes = memory_by_kind(profile).total()
    with second.page.expect_file_chooser() as chooser:
        second.button("Resume: resumed.bin").click()
    chooser.value.set_files(source)
    used_bytes = [before_bytes]

    def is_complete() -> bool:
        used_bytes.append(memory_by_kind(profile).total())
        second.page.wait_for_timeout(200)
        return "complete ·" in second.card("resumed.bin").inner_text()

    wait_until(is_complete)
    assert max(used_bytes) - before_bytes < MAX_GROWTH_BYTES
    assert api.status("resumed.bin").json["state"] == "complete"
    assert api.download("resumed.bin").body == source.read_bytes()
    context.close()


def test_docs_page_tries_a_request(visit: Visit, local_service: LocalService) -> None:
    """`/docs` lists the operations, filters them, and sends one."""
    visit.page.goto(f"{local_service.connection_info['base_url']}/docs")
    visit.page.get_by_label("Filter operations").fill("/health")
    expect(visit.page.get_by_role("heading", level=2)).to_have_count(1)
    visit.page.get_by_text("Check that the service responds").click()
    card = visit.page.locator("#getHealth")
    card.get_by_role("button", name="Send").click()
    expect(card.locator("pre")).to_contain_text('"status": "ok"')
    visit.check()


@pytest.mark.parametrize("path", ["/console", "/docs", "/l/link"])
def test_page_whose_scripts_do_not_load_says_what_to_do(visit: Visit, api: FerryClient, path: str) -> None:
    """Where a script is missing, as during an update of the service, the page says so, and works when loaded again."""
    url = visit.base_url + path
    if path == "/l/link":
        url = expect_status(api.post("/links", kind="upload"), 201, "link").json["url"]
    visit.page.route("**/api.js", lambda route: route.fulfill(status=404))
    visit.page.goto(url)
    expect(visit.page.get_by_text("load this page again")).to_be_visible()
    visit.page.unroute("**/api.js")
    if path == "/l/link":
        visit.page.reload()
    else:
        visit.page.get_by_role("link").click()
    expect(visit.page.get_by_role("button").first).to_be_visible()
    expect(visit.page.get_by_text("load this page again")).to_have_count(0)
    visit.check(allowed="status of 404")


def test_page_loads_while_instances_of_another_version_answer(visit: Visit) -> None:
    """An asset that an instance of another version does not have is asked for again."""
    visit.page.route(re.compile(r"/assets/[^?]*$"), to_next_attempt)
    visit.sign_in()
    assert any("attempt=1" in url for url in visit.urls)
    visit.check()


def to_next_attempt(route: Route) -> None:
    """Answer as an instance does that does not have this version of the assets."""
    route.fulfill(status=307, headers={"Location": f"{urlsplit(route.request.url).path}?attempt=1"})
