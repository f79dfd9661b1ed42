"""The README's walk-through, run as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dev.local.launcher import LocalService
from dev.paths import ROOT

FILE_SIZE_BYTES = 40_000_003
"""Smaller than the README's own 300 MB, which takes the same way."""


@pytest.fixture
def script() -> str:
    (block,) = re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    return str(block)


def test_readme_commands_succeed(service: LocalService, script: str, tmp_path: Path) -> None:
    """Every line of the shell block succeeds, beside the `.local` of a running service, and the files are equal."""
    bash = shutil.which("bash")
    assert bash is not None
    (tmp_path / ".local").symlink_to(service.state_folder)
    done = subprocess.run(
        [bash, "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "SIZE": str(FILE_SIZE_BYTES)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sums = re.findall(r"^([0-9a-f]{64})  (\S+)$", done.stdout, re.MULTILINE)
    assert [name for _, name in sums] == ["film.bin", "copy.bin"]
    assert sums[0][0] == sums[1][0]
    assert (tmp_path / "copy.bin").stat().st_size == FILE_SIZE_BYTES
    assert '"state":"complete"' in done.stdout
