"""A service whose disk is full for a moment. The disk is a small file system in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.local.client import put_part
from dev.local.launcher import LocalService, find_processes
from tests.e2e.clients import (
    CHUNK_BYTES,
    MIB,
    chunk_body,
    log_in_as,
    random_bytes,
    send_chunks,
    upload_file,
    wait_until,
)
from tests.support.small_disk import SmallDisk, mount_small_disk

DISK_MIB = 256
CHUNKS = 6


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mount_small_disk(tmp_path / "state", DISK_MIB) as mounted:
        yield mounted
        assert find_processes(mounted.folder) == []


def test_full_disk_rejects_writes_and_loses_nothing(disk: SmallDisk) -> None:
    """While the disk is full writes get 507 or 503 and reads work; then writes work again, and a kill loses nothing."""
    finished, content = random_bytes(3 * MIB + 1), random_bytes(CHUNKS * CHUNK_BYTES, seed=2)
    service = LocalService(disk.folder)
    try:
        api = log_in_as(service, "demo")
        upload_file(api, "finished", finished)
        api.start("half", len(content))
        send_chunks(api, "half", content, (1, 4))
        part = api.presign_parts("half", 3).json["parts"][0]

        disk.fill()
        statuses = {
            api.start("new", 5).status,
            api.send_chunk("half", 2, chunk_body(content, 2)).status,
            api.complete("half").status,
        }
        assert statuses <= {503, 507}
        # This request goes to S3 itself, past the gateway.
        assert put_part(part, content[16 * MIB :]).status >= 500
        assert api.download("finished").body == finished
        assert api.status("half").json["missing"] == [[2, 3], [5, 6]]

        disk.free()
        wait_until(lambda: api.send_chunk("half", 2, chunk_body(content, 2)).status == 200)
        wait_until(lambda: put_part(part, content[16 * MIB :]).status == 200)
        upload_file(api, "later", finished)
        assert service.kill() >= 4
        assert "Traceback" not in service.read_log()

        service = LocalService(disk.folder)
        api = log_in_as(service, "demo")
        assert api.download("finished").body == finished
        assert api.download("later").body == finished
        assert api.status("half").json["missing"] == [[3, 3]]
        send_chunks(api, "half", content, (3,))
        assert api.complete("half").status == 200
        assert api.download("half").body == content
    finally:
        service.kill()
