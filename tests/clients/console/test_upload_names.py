"""Uploads whose name is in use: two files of one name, and a name that another device sends."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from dev.local.client import FerryClient
from dev.local.client import expect as expect_status
from tests.clients.console.visit import Visit

MIB = 1024 * 1024


def two_files(folder: Path, name: str, first: bytes, second: bytes) -> tuple[Path, Path]:
    """Return two files of one name, in two folders."""
    paths = folder / "one" / name, folder / "two" / name
    for path, body in zip(paths, (first, second), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(body)
    return paths


def test_two_files_of_one_name_are_both_sent(visit: Visit, api: FerryClient, tmp_path: Path) -> None:
    """The page names them; the second is sent after the first, and asks, as for any name that is taken."""
    visit.sign_in()
    visit.upload(*two_files(tmp_path, "same.txt", b"first", b"the second"))
    expect(visit.page.locator(".toast")).to_contain_text("A file named same.txt is being sent already.")
    visit.button("Keep both: same.txt").click()
    expect(visit.page.locator("li.card", has_text="saved as same (2).txt")).to_be_visible()
    assert (api.download("same.txt").body, api.download("same (2).txt").body) == (b"first", b"the second")
    visit.check(allowed="status of 412")


def test_second_file_follows_when_the_first_is_cancelled(visit: Visit, api: FerryClient, tmp_path: Path) -> None:
    """A file that waits for its name waits while the other one is paused, and is sent once that one is cancelled."""
    visit.sign_in()
    visit.page.route("**/upload/parts", lambda route: None)
    visit.upload(*two_files(tmp_path, "turn.bin", b"1" * 5 * MIB, b"2" * MIB))
    visit.button("Pause: turn.bin").first.click()
    cards = visit.page.locator("li.card", has_text="turn.bin")
    expect(cards.nth(0)).to_contain_text("paused ·")
    expect(cards.nth(1)).to_contain_text("waiting ·")
    visit.button("Cancel: turn.bin").first.click()
    expect(cards.nth(1)).to_contain_text("complete ·")
    assert api.download("turn.bin").body == b"2" * MIB
    visit.check()


def test_two_files_of_one_name_are_both_sent_by_link(visit: Visit, api: FerryClient, tmp_path: Path) -> None:
    """By a link the second one gets the next free name, without a question."""
    url = expect_status(api.post("/links", kind="upload", prefix="twice/"), 201, "link").json["url"]
    visit.page.goto(url)
    visit.upload(*two_files(tmp_path, "same.txt", b"first", b"the second"))
    expect(visit.page.locator(".toast")).to_contain_text("A file named same.txt is being sent already.")
    expect(visit.page.locator("li.card", has_text="saved as same (2).txt")).to_be_visible()
    assert api.download("twice/same.txt").body == b"first"
    assert api.download("twice/same (2).txt").body == b"the second"
    visit.check()


def test_name_that_another_device_sends_is_started_over(visit: Visit, api: FerryClient, tmp_path: Path) -> None:
    """An upload of another device has the name: the page says so, and ends that upload when its button is pressed."""
    other = expect_status(api.start("occupied.bin", 6 * MIB), 201, "start").json["upload_id"]
    path = tmp_path / "occupied.bin"
    path.write_bytes(b"this" * (MIB + 1))
    visit.sign_in()
    visit.upload(path)
    card = visit.page.get_by_role("region", name="Uploads", exact=True).locator("ul").first.locator("li.card")
    expect(card).to_contain_text("Another device, or an earlier visit")
    visit.button("End it and send this file: occupied.bin").click()
    expect(card).to_contain_text("complete ·")
    assert api.download("occupied.bin").body == path.read_bytes()
    assert api.request("GET", f"/status/occupied.bin?upload_id={other}").json["state"] == "cancelled"
    visit.check(allowed="status of 409")
