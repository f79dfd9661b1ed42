"""Uppy 6 and 5 in Chromium, by the example pages of web/uppy: Ferry's own plugin, and @uppy/tus with the preset."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Request, Route

from dev.local.launcher import LocalService
from dev.protocols import uppy_page
from dev.protocols.uppy_page import FERRY_PAGE, TUS_PAGE, UppyPage
from dev.testing.chromium import CHROMIUM
from tests.clients.conftest import sha256_of
from tests.e2e.clients import MIB, log_in_as

PART_BYTES = 8 * MIB
SIZE = 2 * PART_BYTES + MIB + 3
PART_COUNT = 3
"""The parts of Ferry's plugin. @uppy/tus sends five requests."""

pytestmark = pytest.mark.skipif(
    not Path(CHROMIUM).exists(), reason="Chromium is not installed: apt-get install chromium"
)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of the example pages, with a folder for each version of Uppy."""
    if shutil.which("npm") is None:
        pytest.fail("npm is not installed. On Debian run: apt-get install npm")
    folder = tmp_path_factory.mktemp("uppy")
    for version in uppy_page.UPPY_VERSIONS:
        uppy_page.build_examples(folder / version, version)
    with uppy_page.served_folder(folder) as origin:
        yield origin


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    context.set_default_timeout(uppy_page.TIMEOUT_MS)
    yield context
    context.close()


OpenPage = Callable[..., UppyPage]


@pytest.fixture
def open_page(origin: str, local_service: LocalService, context: BrowserContext) -> Iterator[OpenPage]:
    """Return a function that opens an example page, which the test closes."""
    client = local_service.connection_info["clients"][0]
    pages = []

    def open_(kind: str = FERRY_PAGE, version: str = "6") -> UppyPage:
        address = f"{origin}/{version}/{kind}.html"
        page = UppyPage(
            context.new_page(), address, base_url(local_service), client["client_id"], client["client_secret"]
        )
        pages.append(page)
        page.open()
        return page

    yield open_
    for page in pages:
        page.page.close()
    context.unroute_all()


@pytest.fixture
def file(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of several parts, named after the test."""
    path = tmp_path / f"{request.node.name}.bin"
    path.write_bytes(random.Random(request.node.name).randbytes(SIZE))
    return path


def assert_uploaded(local_service: LocalService, file: Path) -> None:
    """Assert that the service has the file, byte for byte."""
    assert sha256_of(log_in_as(local_service, "demo").download(file.name).body) == sha256_of(file.read_bytes())


def base_url(local_service: LocalService) -> str:
    return str(local_service.connection_info["base_url"])


def s3_url(local_service: LocalService) -> str:
    return str(local_service.connection_info["s3_endpoint"]).rstrip("/")


class HeldS3:
    """Lets the first part through to S3, and holds the requests with others until `release`."""

    def __init__(self, page: UppyPage, local_service: LocalService) -> None:
        self._is_holding = True
        self._held: list[Route] = []
        self.parts: list[str] = []
        """URL of each part that was let through."""
        page.page.route(f"{s3_url(local_service)}/**", self._decide)

    def release(self) -> None:
        """End the held requests, which the page has given up, and hold no further ones."""
        self._is_holding = False
        for route in self._held:
            route.abort()

    def _decide(self, route: Route, request: Request) -> None:
        is_part = request.method == "PUT"
        if is_part and self._is_holding and "partNumber=1&" not in f"{request.url}&":
            self._held.append(route)
            return
        if is_part:
            self.parts.append(request.url)
        route.continue_()


@pytest.mark.parametrize("version", uppy_page.UPPY_VERSIONS)
@pytest.mark.parametrize("kind", [FERRY_PAGE, TUS_PAGE])
def test_uppy_uploads_every_byte(
    local_service: LocalService, open_page: OpenPage, file: Path, kind: str, version: str
) -> None:
    """A large file and an empty one arrive whole."""
    empty = file.with_name(f"empty-{kind}-{version}.bin")
    empty.touch()
    page = open_page(kind, version)
    page.choose(file, empty)
    for path in (file, empty):
        page.expect_state(f"{path.name}: complete")
        assert_uploaded(local_service, path)


def test_ferry_plugin_sends_parts_to_s3_with_checksums(
    local_service: LocalService, open_page: OpenPage, file: Path
) -> None:
    """Every part goes to S3 without the token, each with its CRC32C."""
    page = open_page()
    requests: list[Request] = []
    page.page.on("request", lambda request: requests.append(request) if request.method == "PUT" else None)
    page.choose(file)
    page.expect_state(": complete")
    assert len(requests) == PART_COUNT
    for request in requests:
        assert request.url.startswith(s3_url(local_service))
        headers = request.all_headers()
        assert "x-amz-checksum-crc32c" in headers
        assert "authorization" not in headers
    assert_uploaded(local_service, file)


def test_ferry_plugin_without_s3_sends_chunks(local_service: LocalService, open_page: OpenPage, file: Path) -> None:
    """Where the browser cannot reach S3, the bytes go through the API."""
    page = open_page()
    page.page.route(f"{s3_url(local_service)}/**", lambda route: route.abort())
    page.choose(file)
    page.expect_state(": complete")
    assert_uploaded(local_service, file)


@pytest.mark.parametrize("is_reloaded", [False, True])
def test_ferry_plugin_paused_or_reloaded_sends_only_the_rest(
    local_service: LocalService, open_page: OpenPage, file: Path, is_reloaded: bool
) -> None:
    """After a pause, and on a page that is opened anew, the upload continues; parts that S3 has are not sent again."""
    page = open_page()
    held = HeldS3(page, local_service)
    page.choose(file)
    page.expect_state(f"sending {PART_BYTES * 100 // SIZE} %")
    page.click("Pause")
    page.expect_state("paused")
    held.release()
    if is_reloaded:
        page.open()
        page.choose(file)
    else:
        page.click("Resume")
    page.expect_state(": complete")
    assert len(held.parts) == PART_COUNT
    assert_uploaded(local_service, file)


def test_ferry_plugin_cancelled_leaves_no_upload(local_service: LocalService, open_page: OpenPage, file: Path) -> None:
    """Cancel ends the upload in the service, too."""
    page = open_page()
    held = HeldS3(page, local_service)
    page.choose(file)
    page.expect_state(f"sending {PART_BYTES * 100 // SIZE} %")
    with page.page.expect_response(lambda response: response.request.method == "DELETE") as deletion:
        page.click("Cancel")
    assert deletion.value.status == 204
    held.release()
    page.expect_state("no files")
    assert log_in_as(local_service, "demo").status(file.name).json["state"] == "cancelled"


@pytest.mark.parametrize("kind", [FERRY_PAGE, TUS_PAGE])
def test_uppy_retry_after_error_completes(
    local_service: LocalService, open_page: OpenPage, file: Path, kind: str
) -> None:
    """An upload whose start the service rejects is an error of the file; Retry sends it."""
    page = open_page(kind)
    path = "/upload/start" if kind == FERRY_PAGE else "/uploads"
    problem = {"status": 403, "code": "rejected", "detail": "Not now."}
    headers = {"Access-Control-Allow-Origin": "*"}
    page.page.route(
        f"{base_url(local_service)}{path}", lambda route: route.fulfill(status=403, json=problem, headers=headers)
    )
    page.choose(file)
    page.expect_state("failed")
    page.page.unroute_all()
    page.click("Retry")
    page.expect_state(": complete")
    assert_uploaded(local_service, file)
