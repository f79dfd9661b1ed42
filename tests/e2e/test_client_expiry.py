"""The `ferry` command while the service is killed, and while uploads and presigned URLs expire."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from dev.local.launcher import LocalService
from dev.network.fault_proxy import FaultProxy
from tests.e2e.clients import MIB, random_bytes
from tests.e2e.ferry_command import FerryCommand, finish, matching, wait_for_request

pytestmark = pytest.mark.stress

PARAMETERS = "PresignedUrlTtlSeconds=2"


def host_of(service: LocalService) -> str:
    return str(service.connection_info["base_url"]).removeprefix("http://")


def test_client_outlives_the_service(proxy: FaultProxy, tmp_path: Path) -> None:
    """The service is killed in the middle of an upload and of a download, and started anew: the command goes on."""
    data = random_bytes(24 * MIB)
    service = LocalService(tmp_path / "state", parameters=PARAMETERS)
    try:
        ferry = FerryCommand(service, tmp_path, proxy)
        ferry.write("a", data)
        host = host_of(service)
        for arguments, part in (
            (("put", "a", "x", "--no-direct", "--limit-rate", "8M"), "/upload/chunk"),
            (("get", "x", "b", "--no-direct", "--limit-rate", "8M"), "/download/partial"),
        ):
            process = ferry.start(*arguments)
            wait_for_request(proxy, part, 3)
            service.kill()
            service = LocalService(tmp_path / "state", parameters=PARAMETERS)
            # The command goes on with the URL that it knows.
            proxy.hosts[host] = host_of(service)
            done = finish(process)
            assert done.code == 0, done.err
        assert (tmp_path / "b").read_bytes() == data
    finally:
        service.kill()


def test_client_outlives_expired_urls(proxy: FaultProxy, tmp_path: Path) -> None:
    """Presigned URLs that expire while the client sleeps are asked for anew."""
    data = random_bytes(48 * MIB)
    service = LocalService(tmp_path / "state", parameters=PARAMETERS)
    try:
        ferry = FerryCommand(service, tmp_path, proxy)
        ferry.write("a", data)
        for arguments, part in (
            (("put", "a", "x", "--jobs", "1", "--limit-rate", "12M"), "partNumber="),
            (("get", "x", "b", "--jobs", "1", "--limit-rate", "12M"), "response-content"),
        ):
            process = ferry.start(*arguments)
            wait_for_request(proxy, part)
            process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            process.send_signal(signal.SIGCONT)
            done = finish(process)
            assert done.code == 0, done.err
        assert (tmp_path / "b").read_bytes() == data
        assert matching(proxy.requests, "/upload/parts") >= 2
    finally:
        service.kill()


def test_client_starts_anew_after_its_upload_expired(proxy: FaultProxy, tmp_path: Path) -> None:
    """A client that sleeps longer than its upload lives sends the file again, and says so."""
    data = random_bytes(8 * MIB)
    service = LocalService(tmp_path / "state", parameters="UploadIdleTimeoutSeconds=5")
    try:
        ferry = FerryCommand(service, tmp_path, proxy)
        ferry.write("a", data)
        process = ferry.start("put", "a", "x", "--no-direct", "--jobs", "1", "--limit-rate", "4M")
        wait_for_request(proxy, "/upload/chunk", 2)
        process.send_signal(signal.SIGSTOP)
        time.sleep(8)
        process.send_signal(signal.SIGCONT)
        done = finish(process)
        assert done.code == 0, done.err
        assert "x: the upload no longer exists on the service; it begins anew.\n" in done.err
        assert ferry.run("get", "x", "b").code == 0
        assert (tmp_path / "b").read_bytes() == data
    finally:
        service.kill()
