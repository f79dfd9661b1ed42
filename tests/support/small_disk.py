"""A small file system in memory that a test can fill. Mounting one needs root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_BLOCK_BYTES = 256 * 1024


class SmallDisk:
    """A mounted file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def free_bytes(self) -> int:
        """The space that is left."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def fill(self, *, keep_bytes: int = 0) -> None:
        """Fill the disk with one file, but for `keep_bytes`."""
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while (room := self.free_bytes - keep_bytes) > 0:
                file.write(bytes(min(_BLOCK_BYTES, room)))

    def free(self) -> None:
        """Delete what `fill` has written."""
        self._ballast.unlink(missing_ok=True)

    def remount(self, options: str) -> None:
        """Change the options of the mount, such as `ro`."""
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True, capture_output=True)


@contextlib.contextmanager
def mount_small_disk(folder: Path, size_mib: int) -> Iterator[SmallDisk]:
    """Mount a file system of that size on a new folder. Skip the test where this is not permitted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "ferry-test", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("a small disk needs the program `mount`")
    if mounted.returncode:
        pytest.skip(f"mounting a small disk is not permitted here (it needs root): {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
