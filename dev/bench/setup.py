"""Install the benchmarks' packages for the deployed Python into build/: the runtime client and a plain boto3."""

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
"""awslambdaric, the runtime client of Lambda's image."""
PLAIN_BOTO3_FOLDER = ROOT / "build" / "bench" / "plain"
"""boto3 as pip installs it, not trimmed."""
BYTECODE_ENV: Mapping[str, str] = {"PYTHONDONTWRITEBYTECODE": "1"}
"""Lambda's disk is read-only: a module without bytecode is compiled at every start, and stays without it."""

_LOCK = ROOT / "requirements/dev.txt"
_PACKAGES: Mapping[Path, Sequence[str]] = {
    RUNTIME_CLIENT_FOLDER: ("awslambdaric", "simplejson", "snapshot-restore-py"),
    PLAIN_BOTO3_FOLDER: ("boto3", "botocore", "jmespath", "python-dateutil", "s3transfer", "six", "urllib3"),
}


def find_python() -> str:
    """Return the path of the deployed Python. Raises `BenchError` if it is not on the PATH."""
    python = shutil.which("python3.13")
    if python is None:
        raise BenchError("python3.13 is not on the PATH. Run this with make bench-cold or make bench-speed")
    return python


def install() -> None:
    """Install both package sets from the lock and compile them, if they are missing or older. Raises `BenchError`."""
    if not LAYER_FOLDER.is_dir():
        raise BenchError(f"{LAYER_FOLDER.relative_to(ROOT)} does not exist. Run: make layer ARCH=<this machine's>")
    for target, names in _PACKAGES.items():
        if target.is_dir() and target.stat().st_mtime > _LOCK.stat().st_mtime:
            continue
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        requirements = target.with_suffix(".txt")
        requirements.write_text("".join(_pinned_lines(_LOCK.read_text(encoding="utf-8"), names)), encoding="utf-8")
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--python-version", "3.13", "--no-compile"]
        machine = platform.machine()
        platforms = ["--platform", f"manylinux_2_28_{machine}", "--platform", f"manylinux2014_{machine}"]
        _run(
            [
                sys.executable,
                "-m",
                "pip",
                "install",
                "-qq",
                *options,
                *platforms,
                "-t",
                str(target),
                "-r",
                str(requirements),
            ]
        )
        _run([find_python(), "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(target)])


def runtime_client_command(interpreter: str, handler: str = "app.lambda_handler") -> list[str]:
    return [interpreter, "-m", "awslambdaric", handler]


def python_path(*folders: Path) -> str:
    return os.pathsep.join(map(str, folders))


def _pinned_lines(lock: str, names: Sequence[str]) -> list[str]:
    """Return the lines of these packages in a lock, with their hashes."""
    return [block for block in re.split(r"(?m)^(?=[a-z0-9])", lock) if block.partition("==")[0] in names]


def _run(command: Sequence[str]) -> None:
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise BenchError(f"{' '.join(command)} failed: {completed.stderr[-2000:]}")
