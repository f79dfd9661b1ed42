"""Install LocalStack from its own lock into its own folder, and start its S3 without Docker."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dev.local.tcp_ports import HOST
from dev.paths import ROOT
from tests.backends.errors import BackendMissingError

INSTALL_LOCK = ROOT / "dev/install_lock.sh"
LOCK = ROOT / "requirements/localstack.txt"
CACHE_FOLDER = ROOT / "build" / "localstack"
PYTHON = "3.13"
"""LocalStack supports no older version."""


def command() -> list[str]:
    """Return the command line. Raises `BackendMissingError`."""
    python = shutil.which(f"python{PYTHON}")
    if python is None:
        raise BackendMissingError(f"LocalStack needs Python {PYTHON}. Install it, or on Debian run: make runtime-image")
    return [python, "-m", "localstack.runtime.main"]


def environment(home: Path, port: int) -> dict[str, str]:
    """Return the environment: S3 only, signatures checked, no telemetry, on the loopback interface.

    LocalStack's default server and its DNS server listen on all interfaces, so both are replaced or disabled.

    Raises:
        BackendMissingError: LocalStack could not be installed.
    """
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONPATH": str(install()),
        "GATEWAY_LISTEN": f"{HOST}:{port}",
        "GATEWAY_SERVER": "hypercorn",
        "DNS_ADDRESS": "0",
        "SERVICES": "s3",
        "EAGER_SERVICE_LOADING": "1",
        "S3_SKIP_SIGNATURE_VALIDATION": "0",
        "DISABLE_EVENTS": "1",
        "SKIP_SSL_CERT_DOWNLOAD": "1",
        "FILESYSTEM_ROOT": str(home),
        "LOCALSTACK_VOLUME_DIR": str(home / "volume"),
    }


def install() -> Path:
    """Return the folder with the packages of the lock, after installing them if necessary."""
    home = CACHE_FOLDER / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    if home.is_dir():
        return home
    CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE_FOLDER) as scratch:
        folder = Path(scratch) / "packages"
        completed = subprocess.run(
            [
                "sh",
                INSTALL_LOCK,
                os.path.relpath(sys.prefix, ROOT),
                LOCK,
                "--target",
                folder,
                "--python-version",
                PYTHON,
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode:
            raise BackendMissingError(f"LocalStack could not be installed: {completed.stderr.strip()}")
        try:
            folder.rename(home)
        except OSError:
            # Another process has installed the same lock.
            if not home.is_dir():
                raise
    return home
