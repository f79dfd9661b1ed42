"""Links in a real browser: sharing in the console, and the page of a link in a fresh profile."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from playwright.sync_api import Playwright, Route, expect

from dev.bench.browser_memory import main_processes
from dev.local.client import FerryClient, quote_filename
from dev.local.client import expect as expect_status
from dev.local.launcher import LocalService
from dev.testing.chromium import CHROMIUM, FLAGS
from tests.clients.console.visit import Gate, Visit, origin_of, wait_for, wait_until
from tests.e2e.clients import log_in_as

PASSWORD = "correct horse"
LABEL = "<b>Holiday</b> & film"
RESUMED_BYTES = 30_000_001
"""Four parts."""

STATUS_MESSAGES = r"Failed to load resource: the server responded with a status of (401|410|413)"


@pytest.fixture(scope="module", autouse=True)
def shared_files(local_service: LocalService) -> None:
    """A folder with two files."""
    api = log_in_as(local_service, "demo")
    for name, body in (("shared/one.txt", b"first\n"), ("shared/deep/two ü.bin", b"second" * 100_000)):
        expect_status(api.request("PUT", f"/files/{quote_filename(name)}", body), 201, "put")


def create_link(api: FerryClient, **members: Any) -> str:
    """Create a link and return its address."""
    return str(expect_status(api.post("/links", **members), 201, "create a link").json["url"])


def share_in_console(visit: Visit, open_form: str, **fields: str) -> str:
    """Share by the dialog of a button, and return the address that is shown."""
    visit.button(open_form).click()
    for label, value in fields.items():
        field = visit.page.get_by_label(label.replace("_", " "), exact=True)
        if value in ("download", "upload"):
            field.select_option(value)
        else:
            field.fill(value)
    visit.button("Create link").click()
    address = visit.page.get_by_label("Address of a link")
    expect(address).to_be_visible()
    return address.input_value()


def test_shared_folder_opens_in_fresh_profile_with_password(
    visit: Visit, new_visit: Callable[..., Visit], api: FerryClient
) -> None:
    """The console shares a folder; someone without an account gives the password and downloads; the use is shown."""
    visit.sign_in()
    url = share_in_console(visit, "Share: shared/", Label=LABEL, Password=PASSWORD, Downloads_at_most="3")
    assert read_qr(visit) == url
    visit.button("Done").click()
    guest = new_visit(accept_downloads=True)
    guest.page.goto(url)
    secret = url.rpartition("/")[2]
    expect(guest.page.get_by_role("heading", name=LABEL)).to_be_visible()
    assert secret not in guest.page.url
    expect(guest.page.get_by_text("3 downloads left")).to_be_visible()
    assert guest.page.get_by_text("one.txt").count() == 0
    guest.page.get_by_label("Password").fill("wrong password")
    guest.button("Open").click()
    expect(guest.page.get_by_role("alert")).to_contain_text("not right")
    guest.page.get_by_label("Password").fill(PASSWORD)
    guest.page.keyboard.press("Enter")
    with guest.page.expect_download() as download:
        guest.button("Download: one.txt").click()
    assert download.value.path().read_bytes() == b"first\n"
    guest.button("deep/").click()
    expect(guest.button("two ü.bin")).to_be_visible()
    guest.check(allowed=STATUS_MESSAGES)
    assert_secret_stays(guest, secret)
    visit.open_tab("Links")
    row = visit.page.get_by_role("row", name=LABEL)
    expect(row).to_contain_text("1 of 3 downloads")
    row.get_by_role("button", name="Activity").click()
    dialog = visit.page.get_by_role("dialog")
    expect(dialog).to_contain_text("downloaded")
    expect(dialog).to_contain_text("wrong password")
    expect(dialog).to_contain_text("127.0.0.0/24")
    visit.check()


def test_revoked_link_shows_why(visit: Visit, new_visit: Callable[..., Visit], api: FerryClient) -> None:
    """Revoke ends a link from the console; its page says so."""
    url = create_link(api, kind="download", filename="shared/one.txt", label="old plans")
    guest = new_visit()
    guest.page.goto(url)
    expect(guest.button("Download")).to_be_visible()
    visit.sign_in()
    visit.open_tab("Links")
    visit.button("Revoke: old plans").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(visit.page.get_by_role("row", name="old plans")).to_contain_text("revoked")
    guest.page.goto(url)
    expect(guest.page.get_by_role("heading")).to_contain_text("deleted by its owner")
    guest.check(allowed=STATUS_MESSAGES)
    visit.check()


def test_upload_link_takes_files_within_its_limits(
    visit: Visit, new_visit: Callable[..., Visit], api: FerryClient, make_file: Callable[[str, int], Path]
) -> None:
    """Files go into the folder of the link under free names; what is beyond the limits is rejected with a reason."""
    visit.sign_in()
    visit.open_tab("Links")
    url = share_in_console(visit, "New upload link", Folder="inbox", Label="Send it here", Files_at_most="3")
    visit.button("Done").click()
    guest = new_visit()
    guest.page.goto(url)
    expect(guest.page.get_by_text("3 files left")).to_be_visible()
    small, empty, large = make_file("small.bin", 1_000), make_file("empty.bin", 0), make_file("part.bin", 9_000_001)
    guest.upload(small, empty, large)
    for path in (small, empty, large):
        guest.expect_complete(path.name)
        assert api.download(f"inbox/{path.name}").body == path.read_bytes()
    guest.upload(make_file("fourth.bin", 10))
    expect(guest.card("fourth.bin")).to_contain_text("failed")
    expect(guest.card("fourth.bin")).to_contain_text("used up")
    guest.check(allowed=STATUS_MESSAGES)
    visit.check()


def test_revoking_ends_upload_that_runs(
    new_visit: Callable[..., Visit], api: FerryClient, make_file: Callable[[str, int], Path]
) -> None:
    """An upload by a link that is revoked meanwhile ends, with the reason, and cannot be tried again."""
    created = api.post("/links", kind="upload", prefix="revoked/").json
    guest = new_visit()
    is_revoked = threading.Event()

    def hold(route: Route) -> None:
        # The first answer after the revocation is the one that the page sees.
        if not is_revoked.is_set():
            assert api.request("DELETE", f"/links/{created['link_id']}").status == 204
            token = route.request.headers["authorization"]
            guest_api = FerryClient(api.base_url, token.removeprefix("Bearer "))
            wait_until(lambda: guest_api.status("revoked/film.bin").status == 410)
            is_revoked.set()
        route.continue_()

    guest.page.route("**/upload/parts", hold)
    guest.page.goto(created["url"])
    guest.upload(make_file("film.bin", 30_000_001))
    expect(guest.card("film.bin")).to_contain_text("deleted by its owner")
    expect(guest.button("Try again: film.bin")).to_be_hidden()
    guest.check(allowed=STATUS_MESSAGES)


def test_upload_by_link_resumes_after_the_browser_was_killed(
    playwright: Playwright,
    local_service: LocalService,
    api: FerryClient,
    tmp_path: Path,
    make_file: Callable[[str, int], Path],
) -> None:
    """After kill -9 of the browser, with a part sent and others on their way, the link's page continues the upload.

    The upload has used the link up.
    """
    url = create_link(api, kind="upload", prefix="killed/", max_files=1)
    source, profile = make_file("film.bin", RESUMED_BYTES), tmp_path / "profile"
    context = playwright.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=FLAGS)
    first = Visit(context, local_service)
    first.page.goto(url)
    first.page.route(f"{origin_of(local_service.connection_info['s3_endpoint'])}/**", Gate(passing=1))
    first.upload(source)
    wait_for(first, lambda: api.status("killed/film.bin").json.get("received_bytes", 0))
    for pid in main_processes(profile):
        os.kill(pid, signal.SIGKILL)
    context = playwright.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=FLAGS)
    second = Visit(context, local_service)
    second.page.goto(url)
    with second.page.expect_file_chooser() as chooser:
        second.button("Resume: film.bin").click()
    chooser.value.set_files(source)
    second.expect_complete("film.bin")
    assert api.download("killed/film.bin").body == source.read_bytes()
    second.check(allowed=STATUS_MESSAGES)
    context.close()


def test_link_opens_from_the_sign_in_page(visit: Visit, api: FerryClient) -> None:
    """A pasted address opens on this origin, whatever its host; what is no link opens nothing."""
    url = create_link(api, kind="download", filename="shared/one.txt")
    secret = url.rpartition("/")[2]
    visit.page.goto(f"{visit.base_url}/console#/link")
    for address in ("javascript:alert(1)", "https://evil.example/", "//evil.example/l"):
        visit.page.get_by_label("Address of a link").fill(address)
        visit.button("Open").click()
        expect(visit.page.get_by_role("alert").last).to_contain_text("no address")
    visit.page.get_by_label("Address of a link").fill(f"https://evil.example/l/{secret}")
    visit.button("Open").click()
    expect(visit.button("Download")).to_be_visible()
    visit.check()


def read_qr(visit: Visit) -> str:
    """Return the text of the QR code on the page."""
    png = visit.page.get_by_role("img", name="QR code of the link").screenshot()
    pixels = visit.page.evaluate(
        """async (bytes) => {
          const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
          const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
          const context = canvas.getContext("2d");
          context.drawImage(bitmap, 0, 0);
          const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
          return { width: bitmap.width, gray: Array.from({ length: data.length / 4 }, (_, i) => data[i * 4]) };
        }""",
        list(png),
    )
    gray, width = bytes(pixels["gray"]), pixels["width"]
    found = zxingcpp.read_barcodes(memoryview(gray).cast("B", shape=[len(gray) // width, width]))
    assert len(found) == 1
    return str(found[0].text)


def assert_secret_stays(visit: Visit, secret: str) -> None:
    """Assert that no URL but the link's has the secret, in no header, and in nothing that the browser keeps."""
    assert all(secret not in url for url in visit.urls if "/l/" not in url)
    assert all(secret not in headers for headers in visit.headers)
    assert secret not in visit.read_storage()
