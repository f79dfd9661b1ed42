"""`dev/install_lock.sh` with programs that note their calls: uv installs, and pip where uv fails or is missing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

LOCK = "".join(f"package-{number}==1.0 \\\n    --hash=sha256:{number:064}\n" for number in range(3))
HASH_OPTIONS = {"--no-deps", "--require-hashes"}


def install(root: Path, folder: Path, codes: Mapping[str, int], *options: str) -> tuple[int, list[list[str]]]:
    """Install a lock of three packages by programs that end with these codes; a program without one is missing.

    Returns:
        The exit code, and the arguments of each call that installs, the program's name first.
    """
    programs = folder / "env" / "bin"
    programs.mkdir(parents=True)
    for name, program in (("python", "pip"), ("uv", "uv")):
        if program in codes:
            (programs / name).write_text(
                f'#!/bin/sh\ncase "$*" in *install*) echo "{program} $*" >>log; exit {codes[program]};; esac\n',
                encoding="ascii",
            )
            (programs / name).chmod(0o755)
    (folder / "lock").write_text(LOCK, encoding="ascii")
    done = subprocess.run(
        ["sh", root / "dev/install_lock.sh", "env", "lock", *options],
        cwd=folder,
        env={**os.environ, "PATH": "/usr/bin:/bin", "PIP_INDEX_URL": "http://index"},
        capture_output=True,
        check=False,
    )
    log = folder / "log"
    return done.returncode, [line.split() for line in log.read_text(encoding="ascii").splitlines()]


def test_uv_installs_the_lock_from_the_index_of_pip(root: Path, tmp_path: Path) -> None:
    """uv installs with verified hashes, and pip does nothing."""
    code, [call] = install(root, tmp_path, {"uv": 0, "pip": 0})
    assert code == 0
    assert call[0] == "uv"
    assert {*call} >= {*HASH_OPTIONS, "lock"}


@pytest.mark.parametrize("codes", [{"uv": 2, "pip": 0}, {"pip": 0}], ids=["uv fails", "uv is missing"])
def test_pip_installs_what_uv_does_not(root: Path, tmp_path: Path, codes: Mapping[str, int]) -> None:
    """pip verifies the same hashes."""
    code, calls = install(root, tmp_path, codes)
    by_pip = [call for call in calls if call[0] == "pip"]
    assert code == 0
    assert by_pip
    assert all({*call} >= HASH_OPTIONS for call in by_pip)


def test_one_pip_installs_into_a_folder(root: Path, tmp_path: Path) -> None:
    """Two would leave out each other's folders; and the options reach both programs."""
    options = ("--target", "packages", "--python-version", "3.13")
    code, calls = install(root, tmp_path, {"uv": 2, "pip": 0}, *options)
    assert code == 0
    assert [call[0] for call in calls] == ["uv", "pip"]
    assert all({*call} >= {*options} for call in calls)


def test_installation_that_both_fail_fails(root: Path, tmp_path: Path) -> None:
    """The script's exit code is not 0."""
    code, _ = install(root, tmp_path, {"uv": 2, "pip": 1})
    assert code != 0
