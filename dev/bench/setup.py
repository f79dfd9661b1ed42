"""What the measurements run with, in build/: the layer, and for the deployed Python a runtime client and boto3."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from dev.bench.errors import BenchError
from dev.paths import ROOT

LAYER_FOLDER = ROOT / "build" / "layer" / "python"
RUNTIME_CLIENT_FOLDER = ROOT / "build" / "bench" / "client"
"""The runtime client; Lambda's image has one too."""
PLAIN_BOTO3_FOLDER = ROOT / "build" / "bench" / "plain"
"""boto3 as pip installs it."""
BYTECODE_ENV: Mapping[str, str] = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Lambda's disk is read-only: what has no bytecode is compiled at every start."""

_LOCK = ROOT / "requirements/dev.txt"
_PACKAGES: Mapping[Path, Sequence[str]] = {
    RUNTIME_CLIENT_FOLDER: ("awslambdaric", "simplejson", "snapshot-restore-py"),
    PLAIN_BOTO3_FOLDER: ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"),
}


def find_python() -> str:
    """The deployed Python. Raises `BenchError` when it is not on the path."""
    found = shutil.which("python3.13")
    if found is None:
        raise BenchError("there is no python3.13 on the PATH; make bench-cold sees to it, run it through that")
    return found


def install() -> None:
    """See to it that both are there, from the lock, with their bytecode. Raises `BenchError`."""
    if not LAYER_FOLDER.is_dir():
        raise BenchError(f"there is no layer in {LAYER_FOLDER.relative_to(ROOT)}: make layer ARCH=<this machine's>")
    for target, names in _PACKAGES.items():
        if target.is_dir() and target.stat().st_mtime > _LOCK.stat().st_mtime:
            continue
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        wanted = target.with_suffix(".txt")
        wanted.write_text("".join(_pinned_lines(_LOCK.read_text(encoding="utf-8"), names)), encoding="utf-8")
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", "3.13", "--no-compile"]
        machine = platform.machine()
        platforms = ["--platform", f"manylinux_2_28_{machine}", "--platform", f"manylinux2014_{machine}"]
        _run(
            [sys.executable, "-m", "pip", "install", "-qq", *options, *platforms, "-t", str(target), "-r", str(wanted)]
        )
        _run([find_python(), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(target)])


def runtime_client_command(interpreter: str, handler: str = "app.lambda_handler") -> list[str]:
    return [interpreter, "-m", "awslambdaric", handler]


def python_path(*folders: Path) -> str:
    return os.pathsep.join(map(str, folders))


def _pinned_lines(lock: str, names: Sequence[str]) -> list[str]:
    """Those packages' lines of a lock, hashes included."""
    return [block for block in re.split(r"(?m)^(?=[a-z0-9])", lock) if block.partition("==")[0] in names]


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
