"""Uploads in a real browser: two tabs, pause, a sign-in that ends, dropped folders, a quota, folders that move."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Dialog, Route, expect

from admin.cli import main as ferry_admin
from dev.local.client import FerryClient
from dev.local.client import expect as expect_status
from dev.local.launcher import LocalService
from tests.clients.console.visit import Gate, Visit, origin_of, wait_for
from tests.e2e.clients import log_in_as

PARTS_BYTES = 30_000_001
"""Four parts."""

TWO_PARTS_BYTES = 9_000_001

CHUNK_BYTES = 1024 * 1024

OTHER_CLIENT = 2
"""The client `other`, in a namespace of its own."""


def test_two_tabs_do_not_fight_over_one_upload(
    visit: Visit, local_service: LocalService, api: FerryClient, make_file: Callable[[str, int], Path]
) -> None:
    """The second tab leaves a name alone that the first one sends; the first goes on."""
    source, gate = make_file("tabs.bin", PARTS_BYTES), Gate()
    visit.sign_in()
    visit.page.route("**/upload/parts", gate)
    visit.upload(source)
    second = Visit(visit.context, local_service)
    second.sign_in()
    wait_for(visit, lambda: gate.held)
    second.upload(source)
    expect(second.card("tabs.bin")).to_contain_text("Another tab of this browser sends this file.")
    gate.open()
    visit.expect_complete("tabs.bin")
    second.button("Try again: tabs.bin").click()
    second.expect_complete("tabs.bin")
    assert api.download("tabs.bin").body == source.read_bytes()
    visit.check()
    second.check()


def test_paused_upload_sends_nothing_until_it_is_resumed(
    visit: Visit, api: FerryClient, make_file: Callable[[str, int], Path]
) -> None:
    """Pause ends the requests under way; resume goes on with what the service has."""
    source, gate = make_file("paused.bin", PARTS_BYTES), Gate()
    visit.sign_in()
    visit.page.route("**/upload/parts", gate)
    visit.upload(source)
    wait_for(visit, lambda: gate.held)
    visit.button("Pause: paused.bin").click()
    expect(visit.card("paused.bin")).to_contain_text("paused ·")
    expect(visit.button("Resume: paused.bin")).to_be_focused()
    visit.page.unroute("**/upload/parts")
    visit.button("Resume: paused.bin").click()
    visit.expect_complete("paused.bin")
    assert api.download("paused.bin").body == source.read_bytes()
    visit.check()


def test_sign_in_that_ends_loses_no_upload(
    visit: Visit, api: FerryClient, make_file: Callable[[str, int], Path]
) -> None:
    """Where the service takes neither token nor secret, one signs in again, now or later, and the upload goes on."""
    source, is_signed_out = make_file("signed-out.bin", PARTS_BYTES), threading.Event()

    def reject(route: Route) -> None:
        if is_signed_out.is_set():
            route.fulfill(status=401, json={"error": "invalid_client", "code": "invalid_token"})
        else:
            route.continue_()

    visit.sign_in()
    is_signed_out.set()
    for path in ("**/auth/token", "**/upload/*"):
        visit.page.route(path, reject)
    visit.upload(source)
    dialog = visit.page.get_by_role("dialog")
    expect(dialog).to_contain_text("Your sign-in has ended")
    visit.page.keyboard.press("Escape")
    expect(visit.card("signed-out.bin")).to_contain_text("Try again, then sign in.")
    visit.button("Try again: signed-out.bin").click()
    expect(dialog).to_contain_text("Your sign-in has ended")
    is_signed_out.clear()
    visit.fill_sign_in()
    expect(dialog).to_have_count(0)
    visit.expect_complete("signed-out.bin")
    assert api.download("signed-out.bin").body == source.read_bytes()
    visit.check(allowed="status of 401")


def test_upload_outlives_the_service(browser: Browser, tmp_path: Path, make_file: Callable[[str, int], Path]) -> None:
    """The service is killed in the middle of an upload, and started anew: the page says so, and goes on."""
    source, gate = make_file("outlived.bin", PARTS_BYTES), Gate(2)
    service = LocalService(tmp_path / "state")
    port = str(urlsplit(service.connection_info["base_url"]).port)
    context = browser.new_context()
    try:
        visit = Visit(context, service)
        visit.sign_in()
        visit.page.route("**/upload/parts", gate)
        visit.upload(source)
        wait_for(visit, lambda: gate.held)
        service.kill()
        gate.open()
        expect(visit.page.get_by_text("The service does not answer.")).to_be_visible()
        service = LocalService(tmp_path / "state", options=("--port", port))
        visit.expect_complete("outlived.bin")
        expect(visit.page.get_by_text("The service does not answer.")).to_have_count(0)
        assert log_in_as(service, "demo").download("outlived.bin").body == source.read_bytes()
    finally:
        context.close()
        service.kill()


CUT_FIRST_RESPONSES = """() => {
  const send = window.fetch;
  window.cutPaths = [];
  window.fetch = async (resource, options) => {
    const response = await send(resource, options);
    const path = new URL(resource, location.href).pathname;
    if (!path.startsWith("/upload/") || window.cutPaths.includes(path)) return response;
    window.cutPaths.push(path);
    const content = new ReadableStream({ start: (controller) => controller.error(new TypeError("network error")) });
    return new Response(content, response);
  };
}"""
"""Ends the connection within the content of the first response of each route below /upload."""


def test_requests_whose_responses_are_cut_are_repeated(
    visit: Visit, api: FerryClient, make_file: Callable[[str, int], Path]
) -> None:
    """A connection that ends within the content of a response ends no upload: the request is sent again."""
    source = make_file("cut.bin", PARTS_BYTES)
    visit.sign_in()
    visit.page.evaluate(CUT_FIRST_RESPONSES)
    visit.upload(source)
    visit.expect_complete("cut.bin")
    cut_paths = visit.page.evaluate("() => window.cutPaths.sort()")
    assert cut_paths == ["/upload/complete", "/upload/parts", "/upload/start"]
    assert api.download("cut.bin").body == source.read_bytes()


def test_dropped_folder_keeps_its_folders(visit: Visit, api: FerryClient, tmp_path: Path) -> None:
    """A folder that is dropped arrives whole: its folders, an empty file, and a name that is no plain text."""
    contents = {"dropped/a.txt": b"a", "dropped/deep/er/b ü.txt": b"b", "dropped/empty": b""}
    for name, body in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    visit.sign_in()
    expect(visit.button("Upload files")).to_be_visible()
    session = visit.context.new_cdp_session(visit.page)
    data = {"items": [], "files": [str(tmp_path / "dropped")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    for name in contents:
        visit.expect_complete(name)
    for name, body in contents.items():
        assert api.download(name).body == body
    visit.check()


def test_chosen_folder_keeps_its_folders(visit: Visit, api: FerryClient, tmp_path: Path) -> None:
    """A folder that is chosen arrives below its own name."""
    (tmp_path / "chosen" / "deep").mkdir(parents=True)
    (tmp_path / "chosen" / "deep" / "c.txt").write_bytes(b"c")
    visit.sign_in()
    with visit.page.expect_file_chooser() as chooser:
        visit.button("Upload folder").click()
    chooser.value.set_files(tmp_path / "chosen")
    visit.expect_complete("chosen/deep/c.txt")
    assert api.download("chosen/deep/c.txt").body == b"c"
    visit.check()


def test_chunks_go_through_the_api_where_s3_is_out_of_reach(
    visit: Visit, local_service: LocalService, api: FerryClient, make_file: Callable[[str, int], Path]
) -> None:
    """A page that cannot reach S3 sends chunks to the API."""
    source = make_file("blocked.bin", PARTS_BYTES)
    visit.sign_in()
    visit.page.route(f"{origin_of(local_service.connection_info['s3_endpoint'])}/**", lambda route: route.abort())
    visit.upload(source)
    visit.expect_complete("blocked.bin")
    assert api.status("blocked.bin").json["state"] == "complete"
    visit.check(allowed="ERR_FAILED")


def test_upload_of_another_device_is_followed(visit: Visit, api: FerryClient) -> None:
    """Durable bytes, rate and time left of an upload that another device sends are shown, and it can be cancelled."""
    plan = expect_status(api.start("elsewhere.bin", 4 * CHUNK_BYTES, chunk_size=CHUNK_BYTES), 201, "start").json
    visit.sign_in()
    visit.open_tab("Uploads")
    expect(visit.card("elsewhere.bin")).to_contain_text("0 %")
    for index, percent in ((1, "25 %"), (2, "50 %")):
        expect_status(api.send_chunk("elsewhere.bin", index, bytes(plan["chunk_size"])), 200, "chunk")
        expect(visit.card("elsewhere.bin")).to_contain_text(percent)
    expect(visit.card("elsewhere.bin")).to_contain_text(re.compile(r"iB/s · \d+:\d\d left"))
    visit.button("Cancel upload: elsewhere.bin").click()
    expect(visit.card("elsewhere.bin")).to_have_count(0)
    assert api.status("elsewhere.bin").json["state"] == "cancelled"
    assert any("wait=20" in url for url in visit.urls)
    visit.check()


def test_name_that_is_taken_is_asked_about(visit: Visit, api: FerryClient, tmp_path: Path) -> None:
    """A name that has another file: keep both, or replace it."""
    expect_status(api.request("PUT", "/files/taken.txt", b"first"), 201, "put")
    path = tmp_path / "taken.txt"
    path.write_bytes(b"second one")
    visit.sign_in()
    visit.upload(path)
    visit.button("Keep both: taken.txt").click()
    expect(visit.card("taken.txt")).to_contain_text("saved as taken (2).txt")
    assert (api.download("taken.txt").body, api.download("taken (2).txt").body) == (b"first", b"second one")
    visit.open_tab("Files")
    visit.upload(path)
    visit.button("Replace: taken.txt").click()
    visit.expect_complete("taken.txt")
    assert api.download("taken.txt").body == b"second one"
    visit.check(allowed="status of 412")


def test_download_leaves_running_upload_and_page_alone(
    visit: Visit, local_service: LocalService, api: FerryClient, make_file: Callable[[str, int], Path]
) -> None:
    """While an upload runs a download asks nothing, and an error of S3 does not take the place of the page."""
    expect_status(api.request("PUT", "/files/beside.txt", b"beside"), 201, "put")
    gate = Gate()
    dialogs: list[str] = []

    def note(dialog: Dialog) -> None:
        dialogs.append(dialog.type)
        dialog.dismiss()

    visit.page.on("dialog", note)
    visit.sign_in()
    visit.page.route("**/upload/parts", gate)
    visit.upload(make_file("running.bin", TWO_PARTS_BYTES))
    wait_for(visit, lambda: gate.held)
    visit.open_tab("Files")
    with visit.page.expect_download() as download:
        visit.button("Download: beside.txt").click()
    assert download.value.path().read_bytes() == b"beside"
    s3 = f"{origin_of(local_service.connection_info['s3_endpoint'])}/**"
    visit.page.route(s3, lambda route: route.fulfill(status=503, body="<Error/>", content_type="application/xml"))
    with visit.page.expect_response(s3) as rejected:
        visit.button("Download: beside.txt").click()
    assert rejected.value.status == 503
    visit.page.unroute(s3)
    gate.open()
    visit.open_tab("Uploads")
    visit.expect_complete("running.bin")
    assert dialogs == []
    visit.check(allowed="status of 503")


def test_upload_goes_on_where_the_worker_does_not_load(visit: Visit, api: FerryClient, tmp_path: Path) -> None:
    """A page that was opened before an update of the service finds no worker: it computes checksums itself."""
    path = tmp_path / "no-worker.txt"
    path.write_bytes(b"text")
    visit.sign_in()
    visit.page.route("**/crc_worker.js", lambda route: route.fulfill(status=404))
    visit.upload(path)
    visit.expect_complete("no-worker.txt")
    assert api.download("no-worker.txt").body == b"text"
    visit.check(allowed="status of 404")


def test_usage_is_shown_against_the_quota(visit: Visit, local_service: LocalService, tmp_path: Path) -> None:
    """The header shows what is used of a quota, and an upload beyond it fails with the reason."""
    assert ferry_admin(["quota", "set", "other", "--bytes", "1KiB", "--local", str(local_service.state_folder)]) == 0
    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_bytes(b"x" * 512)
    large.write_bytes(b"x" * 2048)
    visit.sign_in(OTHER_CLIENT)
    visit.upload(small, large)
    visit.expect_complete("small.txt")
    expect(visit.card("large.txt")).to_contain_text("may have 1024 bytes")
    visit.open_tab("Files")
    expect(visit.page.get_by_text("512 B of 1 KiB used")).to_be_visible()
    visit.check(allowed="status of 403")


def test_moved_folder_is_resumed_and_lists_failures(
    visit: Visit, local_service: LocalService, api: FerryClient
) -> None:
    """A folder whose move was interrupted is moved on from the next visit; names that are taken are listed."""
    for index in range(6):
        expect_status(api.request("PUT", f"/files/old%2F{index}.txt", b"%d" % index), 201, "put")
    expect_status(api.request("PUT", "/files/new%2F5.txt", b"another"), 201, "put")
    gate = Gate()
    visit.sign_in()
    visit.page.route("**/files/move", gate)
    visit.button("Rename or move folder: old/").click()
    visit.page.get_by_label("New folder").fill("new")
    visit.page.keyboard.press("Enter")
    wait_for(visit, lambda: gate.held)
    visit.page.close()
    second = Visit(visit.context, local_service)
    second.sign_in()
    expect(second.page.get_by_text("Moving old/ to new/ was interrupted.")).to_be_visible()
    second.button("Resume").click()
    dialog = second.page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 file was not moved")
    expect(dialog).to_contain_text("old/5.txt")
    assert api.download("new/4.txt").body == b"4"
    api.request("DELETE", "/files/new%2F5.txt")
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog).to_contain_text("1 file moved.")
    assert api.download("new/5.txt").body == b"5"
    assert api.request("GET", "/files?prefix=old/").json["files"] == []
    second.check(allowed="status of 409")
