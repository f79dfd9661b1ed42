"""A state folder that cannot be used: one line and exit code 1, never a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from dev.local import cli
from dev.paths import ROOT
from tests.support.small_disk import SmallDisk, mount_small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mount_small_disk(tmp_path / "disk", 2) as mounted:
        yield mounted


def start_and_fail(folder: Path, *options: str) -> str:
    """Start the service in this process, which must not run, and return the one line that it prints."""
    out, err = io.StringIO(), io.StringIO()
    # The service changes the environment of its process.
    with patch.dict(os.environ, {"CLEAN": ""}), redirect_stdout(out), redirect_stderr(err):
        code = cli.main(["--quiet", "--state", str(folder), *options])
    return assert_is_one_line(folder, code, out.getvalue(), err.getvalue())


def assert_is_one_line(folder: Path, code: int, out: str, err: str) -> str:
    """Return the line of a run that could not start."""
    assert (code, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("ferry: ")
    assert str(folder) in line
    return line


def test_read_only_disk_is_reported_in_one_line(disk: SmallDisk) -> None:
    """On a read-only disk neither a new nor an existing state folder can be used."""
    existing, new = disk.folder / "state", disk.folder / "new"
    (existing / "logs").mkdir(parents=True)
    disk.remount("ro")
    try:
        for folder in (existing, new):
            assert "Read-only file system" in start_and_fail(folder)
        assert "Read-only file system" in start_and_fail(existing, "--clean")
    finally:
        disk.remount("rw")


def test_full_disk_is_reported_in_one_line(disk: SmallDisk) -> None:
    """On a disk without space a new state folder cannot be made."""
    disk.fill()
    assert "its disk is full" in start_and_fail(disk.folder / "state")


def occupy_folder(folder: Path) -> None:
    folder.write_text("", encoding="utf-8")


def occupy_parent(folder: Path) -> None:
    folder.parent.rmdir()
    folder.parent.write_text("", encoding="utf-8")


def occupy_logs(folder: Path) -> None:
    folder.mkdir()
    (folder / "logs").write_text("", encoding="utf-8")


def occupy_s3(folder: Path) -> None:
    folder.mkdir()
    (folder / "s3").write_text("", encoding="utf-8")


def occupy_dynamodb(folder: Path) -> None:
    folder.mkdir()
    (folder / "dynamodb").write_text("", encoding="utf-8")


@pytest.mark.parametrize("occupy", [occupy_folder, occupy_parent, occupy_logs, occupy_s3, occupy_dynamodb])
def test_file_in_place_of_folder_is_reported_in_one_line(tmp_path: Path, occupy: Callable[[Path], None]) -> None:
    """A file where the service needs a folder is named."""
    folder = tmp_path / "parent" / "state"
    folder.parent.mkdir()
    occupy(folder)
    line = start_and_fail(folder)
    assert "is a file where a folder is needed: move it away" in line


@pytest.mark.parametrize("name", ["lock", "processes", "ferry.json", "backends.json"])
def test_folder_in_place_of_file_is_reported_in_one_line(tmp_path: Path, name: str) -> None:
    """A folder where the service needs a file is named."""
    folder = tmp_path / "state"
    (folder / name).mkdir(parents=True)
    assert f"{name} is a folder where a file is needed: move it away" in start_and_fail(folder)


def test_garbage_in_process_list_and_lock_is_no_error(tmp_path: Path) -> None:
    """Files that hold no state may have any content."""
    folder = tmp_path / "state"
    folder.mkdir()
    for name in ("lock", "processes"):
        (folder / name).write_bytes(b"\xff\xfe garbage")
    (folder / "ferry.json").write_bytes(b"\xff\xfe garbage")
    assert "ferry.json is damaged" in start_and_fail(folder)


def test_program_reports_damage_in_one_line(tmp_path: Path) -> None:
    """As a program, too: exit code 1 and nothing else on its streams."""
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / "ferry.json").write_bytes(b"garbage")
    command = [sys.executable, "-m", "dev.local", "--quiet", "--state", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "CLEAN": ""}
    )
    assert "ferry.json is damaged" in assert_is_one_line(folder, done.returncode, done.stdout, done.stderr)
