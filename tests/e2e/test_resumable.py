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

CONTENT = random_bytes(26 * MIB + 5, seed=14)
"""Three whole parts of 8 MiB and one that is shorter."""
TUS = {"Tus-Resumable": "1.0.0"}
DRAFT_VERSION = {"Upload-Draft-Interop-Version": "8"}
DRAFT = {**DRAFT_VERSION, "Content-Type": "application/partial-upload"}
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


def create_by_draft(api: FerryClient, name: str) -> str:
    """Return the path of a new upload of unknown length, whose creation sends the first request's bytes."""
    created = api.request(
        "POST", f"/uploads?filename={name}", CONTENT[:REQUEST_BYTES], {**DRAFT, "Upload-Complete": "?0"}
    )
    return expect(created, 201, "creation").headers["location"].removeprefix(api.base_url)


def send_by_draft(api: FerryClient, path: str, end: int = len(CONTENT)) -> None:
    """Send the content from the upload's offset on, until the offset is at `end`. The last request alone says so."""
    head = expect(api.request("HEAD", path, None, DRAFT_VERSION), 204, "offset")
    offset = int(head.headers["upload-offset"])
    while offset < end:
        body = CONTENT[offset : min(offset + REQUEST_BYTES, end)]
        offset += len(body)
        complete = "?1" if offset == len(CONTENT) else "?0"
        headers = {**DRAFT, "Upload-Offset": str(offset - len(body)), "Upload-Complete": complete}
        response = api.request("PATCH", path, body, headers)
        assert response.status in (200, 204), response.body


def test_uploads_survive_kills(state: Path) -> None:
    """After SIGKILL to every process uploads of both protocols continue at their offsets, and each file has every byte.

    By tus in requests of whole chunks and in odd ones; by the draft, the first bytes in the creation, of a length that
    only the last request has.
    """
    service = LocalService(state)
    try:
        api = log_in_as(service, "demo")
        whole, odd = (create_by_tus(api, name) for name in ("whole.bin", "odd.bin"))
        draft = create_by_draft(api, "draft.bin")
        for end in (len(CONTENT) * share // 3 for share in (1, 2, 3)):
            send_by_tus(api, whole, REQUEST_BYTES, end)
            send_by_tus(api, odd, ODD_BYTES, end)
            send_by_draft(api, draft, end)
            if end < len(CONTENT):
                service.kill()
                service = LocalService(state)
                api = log_in_as(service, "demo")
        for name in ("whole.bin", "odd.bin", "draft.bin"):
            assert api.download(name).body == CONTENT
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
