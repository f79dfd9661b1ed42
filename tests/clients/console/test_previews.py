"""Previews, and long lists."""

from __future__ import annotations

import io
import json
import struct
import wave
import zlib

import pytest
from playwright.sync_api import Route, expect

from dev.local.client import FerryClient
from dev.local.client import expect as expect_status
from tests.clients.console.samples import PDF
from tests.clients.console.visit import Visit

IS_LOADED = {
    "img": "(node) => node.complete && node.naturalWidth === 2",
    "audio": "(node) => node.duration > 0",
}


def png() -> bytes:
    """Return an image of two by two pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0\0\xff" * 2)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def wav() -> bytes:
    """Return a tenth of a second of silence."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8_000)
        sound.writeframes(b"\x80" * 800)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content_type", "tag"),
    [("image.png", "image/png", "img"), ("sound.wav", "audio/wav", "audio")],
)
def test_media_are_shown_from_s3(visit: Visit, api: FerryClient, name: str, content_type: str, tag: str) -> None:
    """An image and a sound load from the origin of S3."""
    body = png() if tag == "img" else wav()
    expect_status(api.request("PUT", f"/files/{name}", body, {"Content-Type": content_type}), 201, "put")
    visit.sign_in()
    visit.button(name).click()
    media = visit.page.locator(f"dialog {tag}")
    expect(media).to_be_visible()
    handle = media.element_handle()
    assert handle is not None
    visit.page.wait_for_function(IS_LOADED[tag], arg=handle)
    visit.check()


def test_video_is_shown_from_s3(visit: Visit, api: FerryClient) -> None:
    """A video gets its player; one that the browser cannot play has a message."""
    expect_status(api.request("PUT", "/files/film.mp4", b"no film", {"Content-Type": "video/mp4"}), 201, "put")
    visit.sign_in()
    visit.button("film.mp4").click()
    expect(visit.page.get_by_role("dialog").get_by_role("alert")).to_contain_text("cannot show")
    assert any("response-content-type=video" in url for url in visit.urls)
    visit.check()


def test_pdf_is_shown_in_a_frame_of_s3(visit: Visit, api: FerryClient) -> None:
    """A PDF gets a frame without a sandbox, in which browsers show none."""
    expect_status(api.request("PUT", "/files/paper.pdf", PDF, {"Content-Type": "application/pdf"}), 201, "put")
    visit.sign_in()
    with visit.page.expect_response(lambda response: "paper.pdf" in response.url and "X-Amz" in response.url) as shown:
        visit.button("paper.pdf").click()
    assert shown.value.headers["content-type"] == "application/pdf"
    expect(visit.page.locator("dialog iframe:not([sandbox])")).to_be_visible()
    visit.check()


def test_folder_beyond_ten_thousand_entries_says_so(visit: Visit) -> None:
    """A long folder is loaded up to 10,000 names, shown piece by piece, and filtered as far as it is loaded."""

    def answer(route: Route) -> None:
        first = int(route.request.url.partition("cursor=")[2] or 0)
        names = [f"{index:05}.txt" for index in range(first, first + 1000)]
        record = {"size": 1, "uploaded_at": "2026-01-01T00:00:00Z", "etag": '"x"', "content_type": "text/plain"}
        files = [{"filename": name, **record} for name in names]
        route.fulfill(body=json.dumps({"files": files, "prefixes": [], "cursor": str(first + 1000)}))

    visit.page.route("**/files?*", answer)
    visit.sign_in()
    expect(visit.page.get_by_text("more than 10,000 entries")).to_be_visible()
    expect(visit.page.get_by_role("row")).to_have_count(201)
    visit.button("Show more", exact=False).click()
    expect(visit.page.get_by_role("row")).to_have_count(1201)
    visit.page.get_by_label("Filter by name").fill("09999")
    expect(visit.page.get_by_role("row")).to_have_count(2)
    visit.check()
