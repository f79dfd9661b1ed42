"""A local service, a large file in it, a proxy in front, and the programs that download."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.local.client import FerryClient, expect, put_part
from dev.local.launcher import LocalService, find_processes
from tests.clients.manual import runnable_blocks
from tests.clients.proxy import BreakableProxy
from tests.e2e.clients import MIB, log_in_as

NAME = "big.bin"
"""As docs/download-guide.md has it."""

LARGE_SIZE_BYTES = 200 * MIB + 12_345
SMALL_SIZE_BYTES = 24 * MIB + 5
"""Enough for what is redirected, and has several parts."""

PROGRAMS = ("curl", "wget", "aria2c", "chromium", "jq")
_TIMEOUT_SECONDS = 300


@dataclass
class DownloadHarness:
    """What a test of a client works with: `folder` is where that runs."""

    local_service: LocalService
    client: FerryClient
    proxy: BreakableProxy
    work_folder: Path

    @property
    def s3(self) -> str:
        return str(self.local_service.connection_info["s3_endpoint"])

    def upload(self, size: int, seed: int, name: str = NAME) -> bytes:
        """A file, its parts straight to S3; it replaces another of that name."""
        body = random.Random(seed).randbytes(size)
        plan = expect(self.client.start(name, size, if_exists="replace"), 201, "start").json
        length, numbers = plan["part_size"], range(1, plan["part_count"] + 1)
        signed = expect(self.client.presign_parts(name, *numbers), 200, "parts").json["parts"]

        def send(number: int) -> None:
            expect(put_part(signed[number - 1], body[(number - 1) * length : number * length]), 200, f"part {number}")

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(send, numbers))
        expect(self.client.complete(name), 200, "complete")
        return body

    @property
    def environment(self) -> Mapping[str, str]:
        """The commands' variables; every request goes through the proxy, and nobody tries twice by itself."""
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
        """The commands of that block of the manual. Their output is shown when the test fails."""
        return self.run_shell(runnable_blocks()[title])

    def run_shell(self, script: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["sh", "-euc", script],
            cwd=self.work_folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        sys.stdout.write(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}\n")
        return done

    def sha256(self, name: str = NAME) -> str:
        """The SHA-256 of what the client has."""
        with (self.work_folder / name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def size_bytes(self, name: str = NAME) -> int:
        return (self.work_folder / name).stat().st_size

    def assert_no_token_at_s3(self) -> None:
        """S3 was asked, and saw no token in any form."""
        asked = self.proxy.requests_to(self.s3)
        assert asked
        for request in asked:
            assert "authorization" not in request.headers
            assert self.client.token not in request.url + str(request.headers)


@pytest.fixture(scope="session", autouse=True)
def require_programs() -> None:
    """All of them, or no test here means anything."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.exit(f"missing: {', '.join(missing)}. On Debian: apt-get install aria2 chromium curl jq wget", 1)


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    launched = LocalService(tmp_path_factory.mktemp("clients") / "state")
    yield launched
    assert launched.stop() == 0, launched.read_log()
    assert find_processes(launched.state_folder) == []


@pytest.fixture
def harness(service: LocalService, tmp_path: Path) -> Iterator[DownloadHarness]:
    folder = tmp_path / "here"
    folder.mkdir()
    with BreakableProxy(service.connection_info["s3_endpoint"]) as proxy:
        yield DownloadHarness(service, log_in_as(service, "demo"), proxy, folder)


def sha256_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
