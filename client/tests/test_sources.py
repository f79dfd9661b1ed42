"""What is sent: files that are none, files that hide a change, and what a program holds open."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tests.fake_service import FakeService
from ferry_client.client import Ferry
from ferry_client.errors import IntegrityError, LocalFileError
from ferry_client.transport import HttpRequest

MIB = 1024 * 1024
Connect = Callable[..., Ferry]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipe_given_by_its_path_is_named_and_does_not_block(connect: Connect, tmp_path: Path) -> None:
    """A pipe without a writer is rejected at once."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(LocalFileError, match="is no file of a known size"):
        connect().upload(tmp_path / "pipe", "x")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such files")
def test_file_of_the_kernel_is_not_sent_as_an_empty_one(connect: Connect, fake: FakeService) -> None:
    """A file whose size is 0 although it has bytes is rejected by its path, and sent whole as an open file."""
    path = Path("/proc/self/status")
    with pytest.raises(LocalFileError, match="is no file of a known size"):
        connect().upload(path, "x")
    assert not fake.files
    with path.open("rb") as file:
        connect().upload(file, "x")
    assert fake.files["x"].data.startswith(b"Name:")


def test_empty_file_is_sent(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """A file that is empty remains one, by its path and opened."""
    (tmp_path / "empty").touch()
    connect().upload(tmp_path / "empty", "x")
    with (tmp_path / "empty").open("rb") as file:
        connect().upload(file, "y")
    assert (fake.files["x"].data, fake.files["y"].data) == (b"", b"")


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no time of the last change")
def test_file_written_with_its_time_restored_is_not_mixed(connect: Connect, fake: FakeService, tmp_path: Path) -> None:
    """A program that writes into a file while it is sent, and restores its time, makes no file of old and new bytes."""
    path = tmp_path / "a"
    path.write_bytes(bytes(5 * MIB))
    os.utime(path, (1, 1))

    def write(request: HttpRequest) -> None:
        if "/upload/complete" in request.url or len(fake.uploads) == 0:
            return
        (upload,) = fake.uploads.values()
        if len(upload.chunks) == 10:
            with path.open("r+b") as file:
                file.write(b"x" * 5 * MIB)
            os.utime(path, (1, 1))

    fake.after.append(write)
    with pytest.raises(IntegrityError, match="other bytes than the file has now"):
        connect(max_jobs=1).upload(path, "a")
    assert not fake.files
