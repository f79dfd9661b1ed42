"""The example pages of web/uppy in Chromium, driven by Playwright."""

from __future__ import annotations

import functools
import http.server
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Playwright, expect

from dev.protocols import clients
from dev.testing.chromium import CHROMIUM, FLAGS

UPPY_VERSIONS = ("6", "5")
FERRY_PAGE, TUS_PAGE = "ferry", "tus"
TIMEOUT_MS = 60_000
"""How long an element may take to show what is expected."""
_RETRY_PAUSE_MS = 2_000
"""Pause after a click on Retry, in which the page shows the new state."""


def build_examples(folder: Path, uppy_version: str) -> None:
    """Bundle the example pages with a version of Uppy into a folder. Raises `CheckError`."""
    clients.install_npm_packages()
    clients.run_node("build.mjs", "--examples", str(folder), uppy_version)


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of a folder."""

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served_folder(folder: Path) -> Iterator[str]:
    """Serve a folder while the context lasts. Yield its origin, which `CorsOrigins` has to allow."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def browser_context(playwright: Playwright, flags: Sequence[str] = ()) -> Iterator[BrowserContext]:
    """Run Chromium with more flags than `FLAGS` while the context lasts."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
    context = browser.new_context()
    context.set_default_timeout(TIMEOUT_MS)
    yield context
    browser.close()


@dataclass
class UppyPage:
    """An example page."""

    page: Page
    """The page in the browser."""
    address: str
    """The page's own URL."""
    api_url: str
    """The address of the API."""
    client_id: str
    """The client that signs in."""
    client_secret: str
    """Its secret."""

    def open(self) -> None:
        """Open the page, or open it anew, and connect."""
        self.page.goto(self.address)
        self.page.get_by_label("Address").fill(self.api_url)
        self.page.get_by_label("Client id").fill(self.client_id)
        self.page.get_by_label("Client secret").fill(self.client_secret)
        self.page.get_by_role("button", name="Connect").click()

    def choose(self, *paths: Path) -> None:
        """Choose files, whose upload begins at once."""
        self.page.get_by_label("Files").set_input_files(list(paths))

    def click(self, action: str) -> None:
        """Click one of the buttons Pause, Resume, Retry, Cancel."""
        self.page.get_by_role("button", name=action).click()

    def expect_state(self, text: str, timeout_ms: int = TIMEOUT_MS) -> None:
        """Wait until the page shows this text. Raises `AssertionError`."""
        expect(self.page.locator("#state")).to_contain_text(text, timeout=timeout_ms)

    def wait_until_complete(self, name: str, timeout_ms: int, *, presses_retry: bool) -> None:
        """Wait until the page shows that a file is complete. Raises `AssertionError`.

        Args:
            name: the file's name.
            timeout_ms: how long it may take.
            presses_retry: click Retry when the page shows that the upload failed.
        """
        expected = re.compile(f"{re.escape(name)}: (complete{'|failed' if presses_retry else ''})")
        deadline = time.monotonic() + timeout_ms / 1_000
        while True:
            remaining_ms = max(1, int((deadline - time.monotonic()) * 1_000))
            expect(self.page.locator("#state")).to_contain_text(expected, timeout=remaining_ms)
            if "complete" in self.page.locator("#state").inner_text():
                return
            self.click("Retry")
            self.page.wait_for_timeout(_RETRY_PAUSE_MS)
