"""Uploads by tus and by the IETF draft against the local service, over real connections and across kills."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.local.client import ApiResponse, FerryClient, expect
from dev.local.launcher import LocalService, find_processes
from dev.paths import ROOT
from tests.e2e.clients import MIB, log_in_as, random_bytes

CONTENT = random_bytes(40 * MIB + 5, seed=14)
TUS = {"Tus-Resumable": "1.0.0"}
REQUEST_BYTES = 4 * MIB
ODD_BYTES = 1_000_003


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    yield folder
    assert find_processes(folder) == []


def create_by_tus(api: FerryClient, name: str) -> str:
    """Return the path of a new upload of the content."""
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {**TUS, "Upload-Length": str(len(CONTENT)), "Upload-Metadata": metadata}
    created = expect(api.request("POST", "/uploads", None, headers), 201, "creation")
    return created.headers["location"].removeprefix(api.base_url)


def patch_by_tus(api: FerryClient, path: str, offset: int, size: int) -> ApiResponse:
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return expect(api.request("PATCH", path, CONTENT[offset : offset + size], headers), 204, "append")


def send_by_tus(api: FerryClient, path: str, size: int, end: int = len(CONTENT)) -> None:
    """Send the content from the upload's offset on, in requests of `size` bytes, until the offset is at `end`."""
    offset = int(expect(api.request("HEAD", path, None, TUS), 200, "offset").headers["upload-offset"])
    while offset < end:
        response = patch_by_tus(api, path, offset, min(size, end - offset))
        offset = int(response.headers["upload-offset"])


@pytest.mark.parametrize("size", [REQUEST_BYTES, ODD_BYTES])
def test_tus_upload_survives_kills(state: Path, size: int) -> None:
    """After SIGKILL to every process an upload continues at its offset, and the file has every byte."""
    service = LocalService(state)
    path = ""
    try:
        for share in (1, 2, 3):
            api = log_in_as(service, "demo")
            path = path or create_by_tus(api, "killed.bin")
            send_by_tus(api, path, size, len(CONTENT) * share // 4)
            service.kill()
            service = LocalService(state)
        api = log_in_as(service, "demo")
        send_by_tus(api, path, size)
        assert api.download("killed.bin").body == CONTENT
    finally:
        service.kill()


def test_draft_upload_reaches_the_same_file(state: Path) -> None:
    """An upload by the draft, the first bytes in the creation, of a length that only the last request has."""
    service = LocalService(state)
    try:
        api = log_in_as(service, "demo")
        version = {"Upload-Draft-Interop-Version": "8", "Content-Type": "application/partial-upload"}
        first = {**version, "Upload-Complete": "?0"}
        created = expect(
            api.request("POST", "/uploads?filename=draft.bin", CONTENT[:REQUEST_BYTES], first), 201, "creation"
        )
        path = created.headers["location"].removeprefix(api.base_url)
        for offset in range(REQUEST_BYTES, len(CONTENT), REQUEST_BYTES):
            body = CONTENT[offset : offset + REQUEST_BYTES]
            is_last = offset + len(body) == len(CONTENT)
            headers = {**version, "Upload-Offset": str(offset), "Upload-Complete": "?1" if is_last else "?0"}
            response = api.request("PATCH", path, body, headers)
            assert response.status in (200, 204), response.body
        assert api.download("draft.bin").body == CONTENT
    finally:
        service.kill()


def test_lost_bytes_of_an_upload_are_named_at_the_start(state: Path) -> None:
    """SeaweedFS starts without its store of names; the service says which upload has lost its bytes."""
    service = LocalService(state)
    api = log_in_as(service, "demo")
    send_by_tus(api, create_by_tus(api, "lost.bin"), ODD_BYTES, 13 * MIB)
    service.kill()
    shutil.rmtree(state / "s3" / "filerldb2")
    command = [sys.executable, "-m", "dev.local", "--quiet", "--state", str(state)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert finished.returncode == 1
    assert re.search(r"1 of 1 open uploads \('lost\.bin'\) are lost", finished.stderr), finished.stderr
