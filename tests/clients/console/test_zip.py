"""Several files as one ZIP64 archive, read by Python's zipfile and by unzip."""

from __future__ import annotations

import base64
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dev.local.client import FerryClient, quote_filename
from dev.local.client import expect as expect_status
from dev.local.launcher import LocalService
from tests.clients.console.visit import Visit
from tests.e2e.clients import log_in_as

CONTENTS = {
    "zipped/empty": b"",
    "zipped/ünï ☃/日本.txt": b"text\n" * 3,
    "zipped/deep/large.bin": bytes(range(256)) * 15_000,
    "zipped/<b>.txt": b"markup",
}
GIB = 1024**3
WRITE_TO_FILE = """() => {
  window.showSaveFilePicker = async ({ suggestedName }) => {
    const folder = await navigator.storage.getDirectory();
    return folder.getFileHandle(suggestedName, { create: true });
  };
}"""
"""Stands for the browser's dialog: a file in the origin's private folder."""

READ_FILE = """async (name) => {
  const folder = await navigator.storage.getDirectory();
  const file = await (await folder.getFileHandle(name)).getFile();
  const reader = new FileReader();
  return new Promise((resolve) => {
    reader.onload = () => resolve(reader.result.split(",")[1]);
    reader.readAsDataURL(file);
  });
}"""


COUNT_ARCHIVES = """async () => {
  const sinks = await import(document.querySelector("script[type=module]").src.replace("main.js", "zip_sinks.js"));
  await sinks.removeLeftovers();
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("archives");
  let count = 0;
  for await (const name of folder.keys()) count += 1;
  return count;
}"""

COUNT_STORED = """async () => {
  let count = 0;
  for await (const name of (await navigator.storage.getDirectory()).keys()) count += 1;
  return count;
}"""

WRITE_LARGE = f"""async () => {{
  const sinks = await import(document.querySelector("script[type=module]").src.replace("main.js", "zip_sinks.js"));
  const sink = await sinks.openDownload("large.zip", 300 * 1024 ** 2);
  await sink.write(new TextEncoder().encode("content"));
  await sink.close();
  return ({COUNT_ARCHIVES})();
}}"""
"""Writes a short archive that is announced as a large one, and counts the archives in the browser's storage."""


@pytest.fixture(scope="module")
def zipped(local_service: LocalService) -> None:
    api = log_in_as(local_service, "demo")
    for name, body in CONTENTS.items():
        assert api.request("PUT", f"/files/{quote_filename(name)}", body).status in (200, 201)


def check_archive(path: Path, prefix: str) -> None:
    """Assert that both readers find every file with its bytes."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name.removeprefix(prefix): body for name, body in CONTENTS.items()
        }
    if shutil.which("unzip"):
        completed = subprocess.run(["unzip", "-t", str(path)], capture_output=True, check=False)
        assert completed.returncode == 0, completed.stdout + completed.stderr


@pytest.mark.usefixtures("zipped")
def test_folder_comes_as_one_archive_where_the_browser_writes_files(visit: Visit, tmp_path: Path) -> None:
    """The archive streams into a file that the person chose."""
    visit.context.add_init_script(f"({WRITE_TO_FILE})()")
    visit.sign_in()
    visit.button("Download as ZIP: zipped/").click()
    expect(visit.page.locator(".toast")).to_contain_text("4 files saved")
    path = tmp_path / "files.zip"
    path.write_bytes(base64.b64decode(visit.page.evaluate(READ_FILE, "files.zip")))
    check_archive(path, "")
    visit.check()


def test_file_beside_folder_of_its_name_is_renamed_in_archive(visit: Visit, api: FerryClient, tmp_path: Path) -> None:
    """A file with the name of a folder, which no disk has, gets the next free name, and the page says so."""
    for name in ("both/x.txt", "both/x (2).txt", "both/x.txt/in", "both/x.txt/in/deep"):
        expect_status(api.request("PUT", f"/files/{quote_filename(name)}", name.encode()), 201, "put")
    visit.context.add_init_script("delete window.showSaveFilePicker")
    visit.sign_in()
    with visit.page.expect_download() as download:
        visit.button("Download as ZIP: both/").click()
    dialog = visit.page.get_by_role("dialog")
    expect(dialog).to_contain_text("both/x.txt → both/x (3).txt")
    expect(dialog).to_contain_text("both/x.txt/in → both/x.txt/in (2)")
    path = tmp_path / "both.zip"
    download.value.save_as(path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "extracted")
        assert sorted(archive.namelist()) == [
            "both/x (2).txt",
            "both/x (3).txt",
            "both/x.txt/in (2)",
            "both/x.txt/in/deep",
        ]
    assert (tmp_path / "extracted" / "both" / "x (3).txt").read_bytes() == b"both/x.txt"
    visit.check()


def test_large_archive_goes_through_the_browser_storage(visit: Visit, local_service: LocalService) -> None:
    """Without a file dialog a large archive is written to the origin's storage, which later visits clear."""
    visit.context.add_init_script("delete window.showSaveFilePicker")
    visit.page.goto(f"{visit.base_url}/console")
    expect(visit.page.get_by_label("Client id")).to_be_visible()
    assert visit.page.evaluate(COUNT_STORED) == 0
    with visit.page.expect_download() as download:
        assert visit.page.evaluate(WRITE_LARGE) == 1
    assert (download.value.suggested_filename, download.value.path().read_bytes()) == ("large.zip", b"content")
    second = Visit(visit.context, local_service)
    second.page.goto(f"{visit.base_url}/console")
    expect(second.page.get_by_label("Client id")).to_be_visible()
    assert second.page.evaluate(COUNT_ARCHIVES) == 1
    visit.page.close()
    # The browser releases the lock of a closed page a moment later.
    second.page.wait_for_function(f"async () => (await ({COUNT_ARCHIVES})()) === 0")
    second.check()


@pytest.mark.usefixtures("zipped")
def test_link_gives_a_folder_as_one_archive_without_a_file_dialog(visit: Visit, api: FerryClient) -> None:
    """Where the browser writes no files, the archive is an ordinary download; a connection that breaks is continued."""
    created = expect_status(api.post("/links", kind="download", prefix="zipped/", max_downloads=9), 201, "link")
    broken: list[str] = []

    def break_once(route: Any) -> None:
        if not broken and "range" not in route.request.headers and "redirect" not in route.request.url:
            broken.append(route.request.url)
            route.abort()
        else:
            route.continue_()

    visit.context.add_init_script("delete window.showSaveFilePicker")
    visit.page.route(lambda url: "X-Amz-Signature" in url, break_once)
    visit.page.goto(created.json["url"])
    expect(visit.button("deep/")).to_be_visible()
    with visit.page.expect_download() as download:
        visit.button("Download as ZIP").click()
    assert download.value.suggested_filename == "zipped.zip"
    check_archive(download.value.path(), "zipped/")
    assert broken
    visit.check(allowed="ERR_FAILED")


def test_headers_hold_sizes_and_offsets_beyond_four_gib(visit: Visit, tmp_path: Path) -> None:
    """A sparse archive with a file of 5 GiB, and a file behind it, is read by zipfile."""
    records = _archive_records(visit.page, visit.base_url, large_bytes=5 * GIB)
    path = tmp_path / "large.zip"
    with path.open("wb") as file:
        file.write(records["local"][0])
        file.seek(5 * GIB, 1)
        file.write(records["descriptors"][0])
        file.write(records["local"][1] + b"small" + records["descriptors"][1])
        assert file.tell() == records["directory"]
        file.write(records["central"] + records["end"])
    with zipfile.ZipFile(path) as archive:
        large, small = archive.infolist()
        assert (large.file_size, large.header_offset) == (5 * GIB, 0)
        assert small.header_offset > 5 * GIB
        assert archive.read(small) == b"small"
        assert (large.filename, small.date_time) == ("large.bin", (2026, 2, 3, 4, 5, 6))


def _archive_records(page: Page, base_url: str, *, large_bytes: int) -> dict[str, Any]:
    """Return the records of an archive of two files, written by the console's module."""
    page.goto(f"{base_url}/console")
    expect(page.get_by_label("Client id")).to_be_visible()
    records = page.evaluate(
        """async (size) => {
          const zip = await import(document.querySelector("script[type=module]").src.replace("main.js", "zip.js"));
          const time = new Date("2026-02-03T04:05:06Z");
          const large = { name: "large.bin", size, time, crc: 0, offset: 0 };
          const small = { name: "small", size: 5, time, crc: zip.crc32(new TextEncoder().encode("small")) };
          const local = [zip.localHeader(large), null];
          const descriptors = [zip.dataDescriptor(large), null];
          small.offset = local[0].length + size + descriptors[0].length;
          local[1] = zip.localHeader(small);
          descriptors[1] = zip.dataDescriptor(small);
          const central = [...zip.centralHeader(large), ...zip.centralHeader(small)];
          const directory = small.offset + local[1].length + small.size + descriptors[1].length;
          const end = [...zip.endRecords(2, central.length, directory)];
          const arrays = (records) => records.map((each) => [...each]);
          return { local: arrays(local), descriptors: arrays(descriptors), central, end, directory };
        }""",
        large_bytes,
    )
    return {
        "local": [bytes(each) for each in records["local"]],
        "descriptors": [bytes(each) for each in records["descriptors"]],
        "central": bytes(records["central"]),
        "end": bytes(records["end"]),
        "directory": records["directory"],
    }
