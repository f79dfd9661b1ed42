"""The `ferry` command while the service is killed, and while uploads and presigned URLs expire."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.local.launcher import LocalService
from dev.network.fault_proxy import FaultProxy
from tests.e2e.clients import MIB, random_bytes
from tests.e2e.ferry_command import LARGE_CHUNKS, FerryCommand, finish, matching, wait_for_request

pytestmark = pytest.mark.stress

PARAMETERS = "PresignedUrlTtlSeconds=2"

PARTS_ON_ANY_LINE = "import ferry_client.line; ferry_client.line.DIRECT_MIN_BYTES_PER_SECOND = 1"
"""Python that sends parts straight to S3 however slow a busy machine makes the line."""


class RestartableService:
    """A service with short-lived presigned URLs, which can be killed and started anew on its state folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.running = LocalService(folder, parameters=PARAMETERS)

    @property
    def host(self) -> str:
        return str(self.running.connection_info["base_url"]).removeprefix("http://")

    def kill_and_start(self) -> None:
        self.running.kill()
        self.running = LocalService(self._folder, parameters=PARAMETERS)


@pytest.fixture(scope="module")
def restartable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestartableService]:
    service = RestartableService(tmp_path_factory.mktemp("restartable") / "state")
    yield service
    service.running.kill()


@pytest.fixture
def ferry(restartable: RestartableService, proxy: FaultProxy, tmp_path: Path) -> FerryCommand:
    """The command, signed in at that service, behind the proxy."""
    return FerryCommand(restartable.running, tmp_path, proxy)


def pause(process: subprocess.Popen[str], seconds: float) -> None:
    """Let a process sleep."""
    process.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    process.send_signal(signal.SIGCONT)


def test_client_outlives_expired_urls(ferry: FerryCommand, proxy: FaultProxy, name: str) -> None:
    """Presigned URLs that expire while the client sleeps are asked for anew."""
    data = random_bytes(32 * MIB)
    ferry.write("a", data)
    for arguments, part in (
        (("put", "a", name, "--jobs", "1", "--limit-rate", "12M"), "partNumber="),
        (("get", name, "b", "--jobs", "1", "--limit-rate", "12M"), "response-content"),
    ):
        process = ferry.start(*arguments, before=f"{PARTS_ON_ANY_LINE}\n{LARGE_CHUNKS}")
        wait_for_request(proxy, part)
        pause(process, 3)
        done = finish(process)
        assert done.code == 0, done.err
    assert (ferry.folder / "b").read_bytes() == data
    assert matching(proxy.requests, "/upload/parts") >= 2


def test_client_outlives_the_service(
    restartable: RestartableService, ferry: FerryCommand, proxy: FaultProxy, name: str
) -> None:
    """The service is killed in the middle of an upload and of a download, and started anew: the command goes on."""
    data = random_bytes(24 * MIB)
    ferry.write("a", data)
    known_host = restartable.host
    for arguments, part in (
        (("put", "a", name, "--no-direct", "--limit-rate", "8M"), "/upload/chunk"),
        (("get", name, "b", "--no-direct", "--limit-rate", "8M"), "/download/partial"),
    ):
        process = ferry.start(*arguments, before=LARGE_CHUNKS)
        wait_for_request(proxy, part, 3)
        restartable.kill_and_start()
        # The command goes on with the URL that it knows.
        proxy.hosts[known_host] = restartable.host
        done = finish(process)
        assert done.code == 0, done.err
    assert (ferry.folder / "b").read_bytes() == data


def test_client_starts_anew_after_its_upload_expired(proxy: FaultProxy, tmp_path: Path) -> None:
    """A client that sleeps longer than its upload lives sends the file again, and says so."""
    data = random_bytes(8 * MIB)
    service = LocalService(tmp_path / "state", parameters="UploadIdleTimeoutSeconds=5")
    try:
        ferry = FerryCommand(service, tmp_path, proxy)
        ferry.write("a", data)
        process = ferry.start("put", "a", "x", "--no-direct", "--jobs", "1", "--limit-rate", "4M")
        wait_for_request(proxy, "/upload/chunk", 2)
        pause(process, 8)
        done = finish(process)
        assert done.code == 0, done.err
        assert "x: the upload no longer exists on the service; it begins anew.\n" in done.err
        assert ferry.run("get", "x", "b").code == 0
        assert (tmp_path / "b").read_bytes() == data
    finally:
        service.kill()
