"""One local service for all examples, a proxy for each language, and files to send."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from dev.local.client import FerryClient
from dev.local.launcher import LocalService
from tests.e2e.clients import log_in_as
from tests.examples.recording_proxy import RecordingProxy

CHUNKED_SIZE_BYTES = 9_000_001
"""Three chunks of 4 MiB and two parts of 8 MiB; over 4 MiB, so that downloads are redirected."""


@dataclass(frozen=True)
class Credentials:
    """What an example is given: the service's address, a client and its token."""

    url: str
    client_id: str
    client_secret: str
    token: str

    def environment(self) -> dict[str, str]:
        """The variables that every script reads."""
        return {
            "FERRY_URL": self.url,
            "FERRY_TOKEN": self.token,
            "CLIENT_ID": self.client_id,
            "CLIENT_SECRET": self.client_secret,
        }


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalService]:
    launched = LocalService(tmp_path_factory.mktemp("examples") / "state", options=["--instances", "4"])
    yield launched
    assert launched.stop() == 0, launched.read_log()


@pytest.fixture(scope="package")
def client(service: LocalService) -> FerryClient:
    """A client of the tests' own, to check what an example has done."""
    return log_in_as(service, "demo")


@pytest.fixture(scope="module")
def proxy(service: LocalService) -> Iterator[RecordingProxy]:
    started = RecordingProxy(service.connection_info["base_url"])
    yield started
    started.shutdown()
    started.server_close()


@pytest.fixture(scope="module")
def credentials(service: LocalService, client: FerryClient, proxy: RecordingProxy) -> Credentials:
    demo = service.connection_info["clients"][0]
    return Credentials(proxy.url, demo["client_id"], demo["client_secret"], client.token)


@pytest.fixture
def name() -> str:
    """A filename that no other test uses."""
    return f"{uuid4().hex}.bin"


@pytest.fixture
def source(tmp_path: Path, name: str) -> Path:
    """A file of three chunks, with content of its own."""
    path = tmp_path / "source" / name
    path.parent.mkdir()
    path.write_bytes(random.Random(name).randbytes(CHUNKED_SIZE_BYTES))
    return path
