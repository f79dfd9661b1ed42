"""A visit of the console or of a link's page."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from dev.local.launcher import LocalService

TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)


NETWORK_CHANGE = "ERR_NETWORK_CHANGED"
"""A request that Chromium ends because the machine gets or loses a network, as for a container of Docker.

The page repeats it.
"""

READ_STORAGE = """async () => {
  const databases = await indexedDB.databases();
  const rows = await Promise.all(databases.map(({ name }) => new Promise((resolve) => {
    const request = indexedDB.open(name);
    request.onsuccess = () => {
      const names = [...request.result.objectStoreNames];
      if (!names.length) return resolve([]);
      const transaction = request.result.transaction(names);
      Promise.all(names.map((each) => new Promise((done) => {
        transaction.objectStore(each).getAll().onsuccess = (event) => done(event.target.result);
      }))).then(resolve);
    };
  })));
  const kept = [{ ...localStorage }, { ...sessionStorage }, document.cookie, history.state, location.href];
  return JSON.stringify([...kept, rows, document.referrer]);
}"""


class Visit:
    """A page, what its console said, and where its requests went."""

    def __init__(self, context: BrowserContext, service: LocalService) -> None:
        self.context = context
        self.page: Page = context.new_page()
        self.page.set_default_timeout(TIMEOUT_MS)
        self.problems: list[str] = []
        self.urls: list[str] = []
        self.headers: list[str] = []
        self._service = service
        self.page.on("console", lambda message: self._note(message.type, message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self._note_request(request.url, str(request.headers)))

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.problems.append(text)

    def _note_request(self, url: str, headers: str) -> None:
        self.urls.append(url)
        self.headers.append(headers)

    @property
    def base_url(self) -> str:
        return str(self._service.connection_info["base_url"])

    def button(self, name: str, *, exact: bool = True) -> Locator:
        return self.page.get_by_role("button", name=name, exact=exact)

    def sign_in(self, client: int = 0) -> None:
        """Sign in as one of the local clients: 0 is `demo`."""
        self.page.goto(f"{self.base_url}/")
        self.fill_sign_in(client)
        expect(self.button("Sign out")).to_be_visible()

    def fill_sign_in(self, client: int = 0) -> None:
        credentials = self._service.connection_info["clients"][client]
        self.page.get_by_label("Client id").fill(credentials["client_id"])
        self.page.get_by_label("Client secret").fill(credentials["client_secret"])
        self.page.keyboard.press("Enter")

    def open_tab(self, name: str) -> None:
        self.page.get_by_role("navigation").get_by_role("button", name=name, exact=True).click()

    def upload(self, *paths: Path) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.button("Upload files").click()
        chooser.value.set_files(list(paths))

    def card(self, name: str) -> Locator:
        return self.page.locator("li.card", has_text=name).first

    def expect_complete(self, name: str) -> None:
        expect(self.card(name)).to_contain_text("complete ·", timeout=TIMEOUT_MS)

    def read_storage(self) -> str:
        """Return all that the browser keeps for the page's origin."""
        return str(self.page.evaluate(READ_STORAGE))

    def check(self, *, allowed: str = "") -> None:
        """Check that the console was silent, and that every request went to the API or the bucket.

        `allowed` matches messages that the test provokes: Chromium reports each response with an error status.
        """
        expected = "|".join(filter(None, (NETWORK_CHANGE, allowed)))
        problems = [text for text in self.problems if not re.search(expected, text)]
        assert not problems, problems
        own = {origin_of(self.base_url), origin_of(self._service.connection_info["s3_endpoint"])}
        # The browser's own viewer of PDF is an extension, which loads resources of the browser.
        sent = [url for url in self.urls if not url.startswith(("blob:", "chrome:", "chrome-extension:"))]
        assert [url for url in sent if origin_of(url) not in own] == []


class Gate:
    """Holds requests until it opens. `passing` of them pass before."""

    def __init__(self, passing: int = 0) -> None:
        self.held: list[Route] = []
        self.is_open = False
        self._passing = passing

    def __call__(self, route: Route) -> None:
        self._passing -= 1
        if self.is_open or self._passing >= 0:
            route.continue_()
        else:
            self.held.append(route)

    def open(self) -> None:
        self.is_open = True
        for route in self.held:
            route.continue_()


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def wait_until(read: Callable[[], object], timeout_seconds: float = 180) -> None:
    """Return once `read` returns something true. Fail after `timeout_seconds`."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        if read():
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing changed for {timeout_seconds} seconds")


def wait_for(visit: Visit, read: Callable[[], object]) -> None:
    """Return once `read` returns something true; the browser's events are handled meanwhile."""

    def look() -> object:
        visit.page.wait_for_timeout(50)
        return read()

    wait_until(look)
