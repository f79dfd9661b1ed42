"""Uploads by clients of tus as their packages bring them, with the settings that docs/protocol-clients.md names."""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiotus
from tusclient.client import TusClient

from dev.errors import CheckError
from dev.paths import ROOT

NPM_FOLDER = ROOT / "web" / "uppy"
"""The npm packages, and the scripts that use them."""

_INSTALLATION_LOCK = ROOT / "build" / "npm-packages.lock"

CHUNK_BYTES = 4 * 1024 * 1024
ODD_CHUNK_BYTES = 1_000_003
SMALL_CHUNK_BYTES = 64 * 1024
CHUNK_SIZES = (CHUNK_BYTES, ODD_CHUNK_BYTES, SMALL_CHUNK_BYTES)
"""Chunk sizes of the tests: the greatest, one that is not aligned to anything, and a small one."""

RETRIES = 300
"""How often a client repeats a request, or begins again."""
_RETRY_SECONDS = 1
_TIMEOUT_SECONDS = 1_800


@dataclass(frozen=True)
class Upload:
    """What to upload, and where."""

    endpoint: str
    """The URL of `/uploads`."""
    token: str
    """The access token."""
    path: Path
    """The local file."""
    name: str
    """The file's name in the service."""
    chunk_bytes: int = CHUNK_BYTES
    """Bytes of a request at most."""

    @property
    def headers(self) -> dict[str, str]:
        """The header fields of every request."""
        return {"Authorization": f"Bearer {self.token}"}


def upload_by_tuspy(upload: Upload) -> None:
    """Upload by tuspy. Raises its errors."""
    with upload.path.open("rb") as file:
        TusClient(upload.endpoint, headers=upload.headers).uploader(
            file_stream=file,
            chunk_size=upload.chunk_bytes,
            metadata={"filename": upload.name},
            retries=RETRIES,
            retry_delay=_RETRY_SECONDS,
            upload_checksum=True,
        ).upload()


def upload_by_aiotus(upload: Upload) -> None:
    """Upload by aiotus. Raises `CheckError` if it gave up."""
    config = aiotus.RetryConfiguration(retry_attempts=RETRIES, max_retry_period_seconds=_RETRY_SECONDS)

    async def run() -> None:
        with upload.path.open("rb") as file:
            location = await aiotus.upload(
                upload.endpoint,
                file,
                {"filename": upload.name.encode()},
                config=config,
                headers=upload.headers,
                chunksize=upload.chunk_bytes,
            )
        if location is None:
            raise CheckError("aiotus gave up")

    asyncio.run(run())


def upload_by_tus_js(upload: Upload, **options: object) -> None:
    """Upload by tus-js-client in Node. Raises `CheckError` with its output if it fails."""
    run_node(
        "tests/tus_js_client.mjs",
        upload.endpoint,
        upload.token,
        str(upload.path),
        upload.name,
        *(f"{key}={value}" for key, value in {"chunkSize": upload.chunk_bytes, **options}.items()),
    )


PYTHON_CLIENTS: Mapping[str, Callable[[Upload], None]] = {"tuspy": upload_by_tuspy, "aiotus": upload_by_aiotus}
"""The Python clients, by the names of their packages."""


def run_python_client(name: str, upload: Upload) -> None:
    """Run a Python client in a process of its own, which its open connections end with. Raises `CheckError`."""
    command = [sys.executable, "-m", "dev.protocols.clients", name, upload.endpoint, str(upload.path), upload.name]
    run_process([*command, str(upload.chunk_bytes)], ROOT, stdin=upload.token)


def install_npm_packages() -> None:
    """Install the locked packages, unless they are there, in one process at a time. Raises `CheckError`."""
    _INSTALLATION_LOCK.parent.mkdir(exist_ok=True)
    with _INSTALLATION_LOCK.open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (NPM_FOLDER / "node_modules" / ".package-lock.json").exists():
            run_process(["npm", "ci", "--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund"])


def run_node(script: str, *arguments: str) -> str:
    """Run a script of the npm folder, and return its output. Raises `CheckError`."""
    return run_process(["node", script, *arguments])


def run_process(command: list[str], folder: Path = NPM_FOLDER, stdin: str = "") -> str:
    """Run a command, without proxies, and return its output. Raises `CheckError` with its output if it fails."""
    completed = subprocess.run(
        command,
        cwd=folder,
        input=stdin,
        env={**os.environ, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    if completed.returncode:
        raise CheckError(f"{' '.join(command[:3])}: {completed.stdout[-1000:]}{completed.stderr[-2000:]}")
    return completed.stdout


def main() -> None:
    """Upload by a client: CLIENT ENDPOINT PATH NAME CHUNK_BYTES, with the token on standard input."""
    name, endpoint, path, filename, chunk_bytes = sys.argv[1:]
    PYTHON_CLIENTS[name](Upload(endpoint, sys.stdin.read(), Path(path), filename, int(chunk_bytes)))


if __name__ == "__main__":
    main()
