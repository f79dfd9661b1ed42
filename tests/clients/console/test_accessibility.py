"""Every view and dialog: axe finds nothing, the keyboard reaches all, nothing is wider than a phone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from dev.local.client import FerryClient
from dev.local.client import expect as expect_status
from dev.local.launcher import LocalService
from tests.clients.console.samples import PDF
from tests.clients.console.visit import Visit
from tests.e2e.clients import log_in_as

AXE = Axe()
LABEL = "for the audit"
FOCUSED = ("focus/1.txt", "focus/2.txt", "focus/3.txt")


@pytest.fixture(params=[("light", 1280), ("dark", 1280), ("light", 360)], ids=["light", "dark", "phone"])
def styled_visit(request: pytest.FixtureRequest, new_visit: Callable[..., Visit]) -> Visit:
    """A visit in a color scheme and at a width, without motion."""
    scheme, width = request.param
    return new_visit(color_scheme=scheme, viewport={"width": width, "height": 740}, reduced_motion="reduce")


@pytest.fixture(scope="module", autouse=True)
def audited_files(local_service: LocalService) -> None:
    """A folder, a file in it and one beside it, a deleted file, and an upload in progress."""
    api = log_in_as(local_service, "demo")
    for name in ("audit/inside.txt", "audit.txt", "gone.txt", "kept/a", "kept/a/b", "taken/a", *FOCUSED):
        expect_status(
            api.request("PUT", f"/files?filename={name}", b"text", {"Content-Type": "text/plain"}), 201, "put"
        )
    expect_status(api.request("PUT", "/files/audit.pdf", PDF, {"Content-Type": "application/pdf"}), 201, "put")
    api.request("DELETE", "/files/gone.txt")
    expect_status(api.start("unfinished.bin", 10_000_000), 201, "start")


def audit(visit: Visit, where: str) -> None:
    """Assert that axe has no finding, and that nothing is wider than the window."""
    found: list[dict[str, Any]] = AXE.run(visit.page).response["violations"]
    assert [(where, each["id"], each["nodes"][0]["html"]) for each in found] == []
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), where


def open_sign_in(visit: Visit) -> None:
    """Open the console, and wait for its scripts: before them the page only says that it is being loaded."""
    visit.page.goto(f"{visit.base_url}/console")
    expect(visit.page.get_by_label("Client id")).to_be_visible()


def run_action(visit: Visit, action: str, shown: str) -> None:
    """Press an action of a row: a button of its own, or on a phone an entry of the row's menu."""
    button = visit.button(f"{action}: {shown}")
    if button.is_visible():
        button.click()
        return
    visit.button(f"Actions: {shown}").click()
    audit(visit, "menu")
    visit.page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()


def test_views_and_dialogs_are_accessible(styled_visit: Visit) -> None:
    """Sign-in, files, preview, move, share, address, links, activity, uploads, deleted."""
    visit, page = styled_visit, styled_visit.page
    open_sign_in(visit)
    audit(visit, "sign-in")
    visit.fill_sign_in()
    expect(visit.button("audit.txt")).to_be_visible()
    audit(visit, "files")
    page.get_by_label("Select: audit.txt").check()
    audit(visit, "selection")
    visit.button("audit.txt").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    audit(visit, "preview")
    page.keyboard.press("Escape")
    run_action(visit, "Rename or move", "audit.txt")
    audit(visit, "move")
    page.keyboard.press("Escape")
    run_action(visit, "Share", "audit/")
    page.get_by_label("Label", exact=True).fill(LABEL)
    audit(visit, "share")
    visit.button("Create link").click()
    expect(page.get_by_label("Address of a link")).to_be_visible()
    audit(visit, "address")
    visit.button("Done").click()
    visit.open_tab("Links")
    visit.button(f"Activity: {LABEL}").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Nothing has happened yet.")
    audit(visit, "activity")
    page.keyboard.press("Escape")
    visit.button(f"Revoke: {LABEL}").first.click()
    audit(visit, "revoke")
    page.keyboard.press("Escape")
    audit(visit, "links")
    visit.open_tab("Uploads")
    expect(page.get_by_text("unfinished.bin")).to_be_visible()
    audit(visit, "uploads")
    visit.open_tab("Deleted")
    expect(visit.button("Restore: gone.txt")).to_be_visible()
    audit(visit, "deleted")
    visit.check()


def test_dialogs_that_report_are_accessible(new_visit: Callable[..., Visit]) -> None:
    """A name that is rejected, a folder whose move fails, an archive with other names, a new upload link."""
    visit = new_visit(color_scheme="dark", viewport={"width": 360, "height": 740})
    page = visit.page
    # No test answers the browser's own dialog.
    page.add_init_script("delete window.showSaveFilePicker")
    visit.sign_in()
    expect(visit.button("audit.txt")).to_be_visible()
    run_action(visit, "Rename or move", "audit.txt")
    page.get_by_label("New name").fill("bad\\name")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="filename")).to_be_visible()
    audit(visit, "rejected name")
    page.keyboard.press("Escape")
    run_action(visit, "Rename or move folder", "kept/")
    page.get_by_label("New folder").fill("taken")
    page.route("**/files/move", lambda route: route.fulfill(status=409, json={"code": "file_exists"}))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("2 files were not moved")
    audit(visit, "moved folder")
    visit.button("Close").click()
    run_action(visit, "Download as ZIP", "kept/")
    expect(page.get_by_role("dialog")).to_contain_text("another name in the archive")
    audit(visit, "archive")
    visit.button("Close").click()
    visit.open_tab("Links")
    visit.button("New upload link").click()
    audit(visit, "new upload link")
    visit.check(allowed=r"status of (409|422)")


def test_pages_of_links_are_accessible(styled_visit: Visit, api: FerryClient) -> None:
    """The password, one file, a folder, an upload, an ended link; and the API's document as a page."""
    visit, page = styled_visit, styled_visit.page

    def create(**members: Any) -> Any:
        return expect_status(api.post("/links", **members), 201, "create a link").json

    page.goto(create(kind="download", prefix="audit/", password="correct horse", label=LABEL)["url"])
    page.get_by_label("Password").fill("wrong password")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not right")
    audit(visit, "password")
    page.get_by_label("Password").fill("correct horse")
    page.keyboard.press("Enter")
    expect(visit.button("inside.txt")).to_be_visible()
    audit(visit, "folder")
    page.goto(create(kind="download", filename="audit.txt")["url"])
    expect(visit.button("Download")).to_be_visible()
    audit(visit, "file")
    created = create(kind="upload")
    page.goto(created["url"])
    expect(visit.button("Upload files")).to_be_visible()
    audit(visit, "upload")
    api.request("DELETE", f"/links/{created['link_id']}")
    page.goto(created["url"])
    expect(visit.button("Upload files")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    audit(visit, "ended")
    page.goto(f"{visit.base_url}/docs")
    page.get_by_text("Check that the service responds").click()
    audit(visit, "docs")
    visit.check(allowed=r"status of (401|410)")


@pytest.mark.parametrize("path", ["/console", "/docs"])
def test_pages_without_their_scripts_are_accessible(styled_visit: Visit, path: str) -> None:
    """While its scripts are being loaded, or if they cannot be, a page says so in a form that is accessible, too."""
    styled_visit.page.route("**/*.js", lambda route: route.abort())
    styled_visit.page.goto(f"{styled_visit.base_url}{path}")
    expect(styled_visit.page.get_by_text("If nothing follows")).to_be_visible()
    audit(styled_visit, path)


def test_audit_finds_a_control_without_a_name(visit: Visit) -> None:
    """The audit itself works: a field without a label is a finding."""
    open_sign_in(visit)
    visit.page.evaluate("document.querySelector('main').append(document.createElement('input'))")
    with pytest.raises(AssertionError, match="label"):
        audit(visit, "sign-in")


def test_console_works_by_keyboard_and_keeps_the_focus(visit: Visit) -> None:
    """Select, open a showDialog, close it, filter and sort: the focus stays where the person is."""
    visit.sign_in()
    page = visit.page
    focused = "document.activeElement.getAttribute('data-key')"
    page.get_by_label("Select: audit.txt").focus()
    page.keyboard.press("Space")
    assert page.evaluate(focused) == "select:audit.txt"
    expect(page.get_by_label("Select: audit.txt")).to_be_checked()
    page.keyboard.press("Space")
    visit.button("Share: audit.txt").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate(focused) == "Share:audit.txt"
    page.get_by_label("Filter by name").focus()
    page.keyboard.type("AUDIT.t")
    assert page.evaluate(focused) == "filter"
    expect(page.get_by_role("row")).to_have_count(2)
    visit.button("Size").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(focused) == "sort:size"
    visit.check()


def test_focus_goes_to_what_takes_the_place_of_its_control(visit: Visit, tmp_path: Path) -> None:
    """A row that is deleted, a view that is left, an undo, and a frame that takes Escape: the focus is not lost."""
    source = tmp_path / "focused.txt"
    source.write_text("text")
    visit.sign_in()
    page = visit.page
    visit.button("audit.pdf").focus()
    page.keyboard.press("Enter")
    expect(visit.button("Close")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    visit.button("focus/").click()
    visit.button("Delete: 2.txt").focus()
    page.keyboard.press("Enter")
    expect(visit.button("3.txt")).to_be_focused()
    visit.button("Undo").focus()
    page.keyboard.press("Enter")
    expect(visit.button("2.txt")).to_be_visible()
    expect(page.get_by_role("region", name="Files")).to_be_focused()
    visit.upload(source)
    visit.expect_complete("focused.txt")
    expect(page.get_by_role("region", name="Uploads", exact=True)).to_be_focused()
    visit.check()
