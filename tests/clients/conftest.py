"""Fixtures: a local service, a browser, a proxy, and a shell that runs the guide's commands."""

from __future__ import annotations

import base64
import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from dev.local.client import FerryClient, expect, put_part
from dev.local.launcher import LocalService, find_processes
from dev.testing.chromium import CHROMIUM, FLAGS
from ferry.rules.digests import crc32c
from tests.clients.download_guide_commands import runnable_blocks
from tests.clients.proxy import BreakableProxy
from tests.e2e.clients import MIB, log_in_as

NAME = "big.bin"
"""The file's name in docs/download-guide.md."""

LARGE_SIZE_BYTES = 200 * MIB + 12_345
SMALL_SIZE_BYTES = 24 * MIB + 5
"""Several parts, and above the size up to which the API returns a file without a redirect."""

PROGRAMS = ("curl", "wget", "aria2c", "chromium", "jq")
_TIMEOUT_SECONDS = 300


@cache
def large_body() -> bytes:
    """Return the bytes of the large file."""
    return random.Random(0).randbytes(LARGE_SIZE_BYTES)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Drives the browser of all tests: a process has one at a time."""
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The browser of all tests that need no profile of their own."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield browser
    browser.close()


@dataclass
class DownloadHarness:
    """Uploads files and runs download commands through the proxy."""

    local_service: LocalService

    client: FerryClient
    """Calls the API without the proxy."""

    proxy: BreakableProxy

    work_folder: Path
    """The commands' working directory."""

    @property
    def s3(self) -> str:
        """The origin of S3."""
        return str(self.local_service.connection_info["s3_endpoint"])

    def upload_large(self) -> bytes:
        """Upload the large file, unless the test before has left it there, and return its bytes."""
        return self._upload(large_body())

    def upload(self, size: int, seed: int) -> bytes:
        """Upload a file of random bytes, and return its bytes."""
        return self._upload(random.Random(seed).randbytes(size))

    def _upload(self, body: bytes) -> bytes:
        """Upload the file straight to S3, replacing another one of the same name."""
        checksum = {"algorithm": "crc32c", "value": base64.b64encode(crc32c(body).to_bytes(4, "big")).decode()}
        started = self.client.start(NAME, len(body), checksum=checksum, if_exists="replace")
        if started.status == 200 and started.json["state"] == "complete":
            return body
        plan = expect(started, 201, "start").json
        part_size, numbers = plan["part_size"], range(1, plan["part_count"] + 1)
        parts = expect(self.client.presign_parts(NAME, *numbers), 200, "parts").json["parts"]

        def send(number: int) -> None:
            part_body = body[(number - 1) * part_size : number * part_size]
            expect(put_part(parts[number - 1], part_body), 200, f"part {number}")

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(send, numbers))
        expect(self.client.complete(NAME), 200, "complete")
        return body

    @property
    def environment(self) -> Mapping[str, str]:
        """The commands' environment: every request goes through the proxy, and no program retries."""
        settings = self.work_folder.parent / "home"
        (settings / ".aria2").mkdir(parents=True, exist_ok=True)
        (settings / ".aria2" / "aria2.conf").write_text("max-tries=1\nsummary-interval=0\n", encoding="ascii")
        (settings / "wgetrc").write_text("tries = 1\n", encoding="ascii")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(settings),
            "WGETRC": str(settings / "wgetrc"),
            "LC_ALL": "C.UTF-8",
            "http_proxy": self.proxy.url,
            "FERRY": self.client.base_url,
            "TOKEN": self.client.token,
        }

    def run_block(self, title: str) -> subprocess.CompletedProcess[str]:
        """Run the commands of a block of the guide. pytest shows their output if the test fails."""
        return self.run_shell(runnable_blocks()[title])

    def run_shell(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a shell script that stops at the first error."""
        completed = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.work_folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        sys.stdout.write(f"exit code {completed.returncode}\n{completed.stdout}\n{completed.stderr}\n")
        return completed

    def sha256(self, name: str = NAME) -> str:
        """Return the SHA-256 of the downloaded file."""
        with (self.work_folder / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def size_bytes(self, name: str = NAME) -> int:
        return (self.work_folder / name).stat().st_size

    def assert_no_token_at_s3(self) -> None:
        """Assert that S3 received requests, and none with the token in its URL or headers."""
        requests = self.proxy.requests_to(self.s3)
        assert requests
        for request in requests:
            assert "authorization" not in request.headers
            assert self.client.token not in request.url + str(request.headers)


def pytest_configure() -> None:
    """End at once, before other processes start, if a program is missing."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.exit(
            f"not installed: {', '.join(missing)}. On Debian run: apt-get install aria2 chromium curl jq wget", 1
        )


@pytest.fixture(scope="session")
def local_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    """The service of all tests of this process that need no parameter. It stops cleanly and leaves no process."""
    service = LocalService(tmp_path_factory.mktemp("clients") / "state")
    yield service
    assert service.stop() == 0, service.read_log()
    assert find_processes(service.state_folder) == []


@pytest.fixture
def harness(local_service: LocalService, tmp_path: Path) -> Iterator[DownloadHarness]:
    """A harness with an empty work folder and an unbroken proxy."""
    folder = tmp_path / "work"
    folder.mkdir()
    with BreakableProxy(local_service.connection_info["s3_endpoint"]) as proxy:
        yield DownloadHarness(local_service, log_in_as(local_service, "demo"), proxy, folder)


def sha256_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
