"""Type the documented commands in a fresh clone: `sam build` and `sam local start-api`, beside a local service.

The clone is a copy of the files of this working tree that git does not ignore, so it has no build output and no state.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from dev.docker.errors import SamError
from dev.docker.processes import managed_process
from dev.docker.start_api import (
    containers_cleanup,
    free_port,
    is_reachable,
    local_service,
    sam_environment,
    wait_until_reachable,
)
from dev.local import sam_cli
from dev.local.client import FerryClient, expect
from dev.local.tcp_ports import HOST
from dev.paths import ROOT

BUILD = ["sam", "build"]
START_API = ["sam", "local", "start-api"]
CHUNK_BYTES = 4 * 1024 * 1024
FILE_NAME = "film, part 1.bin"


def run(folder: Path) -> Path:
    """Type the commands, move a file, and return the folder of the clone, with what `sam build` made.

    Args:
        folder: a folder for the clone and the logs; its content is replaced.

    Raises:
        SamError: a command fails, or a byte comes back that was not sent.
    """
    if is_reachable(sam_cli.API_PORT):
        raise SamError(f"port {sam_cli.API_PORT} is taken, and samconfig.toml names it: stop what listens there")
    clone = _copy_working_tree(folder)
    environment = sam_environment() | {"PATH": _path_with_runtime_python()}
    environment.pop("FERRY_ARCHITECTURE", None)
    _check_message_without_service(clone, environment)
    command = [sys.executable, "-m", "dev.local", "--exit-with-parent", "--port", str(free_port())]
    with local_service(command, clone / ".local", log_path=folder / "local.log", cwd=clone) as connection_info:
        if subprocess.run(BUILD, cwd=clone, env=environment, check=False).returncode:
            raise SamError(f"`{' '.join(BUILD)}` failed; its output is above")
        log_path = folder / "sam.log"
        with containers_cleanup(), managed_process(START_API, env=environment, log_path=log_path, cwd=clone) as api:
            wait_until_reachable(sam_cli.API_PORT, api, log_path)
            client = connection_info["clients"][0]
            _move_binary_chunks(client["client_id"], client["client_secret"])
    _check_message_without_service(clone, environment)
    print("sam build && sam local start-api: every byte as sent")
    return clone


def _copy_working_tree(folder: Path) -> Path:
    """Return a new folder with the files of this working tree that git tracks or would track."""
    shutil.rmtree(folder, ignore_errors=True)
    clone = folder / "clone"
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listing.decode().split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name, follow_symlinks=False)
    return clone


def _path_with_runtime_python() -> str:
    """Return a PATH on which `sam build` finds python3.13, and this process's own programs first."""
    command = ["sh", "-c", '. dev/layer/runtime-python.sh && printf %s "$PATH"']
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SamError(found.stderr.strip())
    return f"{Path(sys.executable).parent}{os.pathsep}{found.stdout}"


def _check_message_without_service(clone: Path, environment: Mapping[str, str]) -> None:
    """Check that SAM CLI names the missing file when no local service runs. Raises `SamError`."""
    done = subprocess.run(START_API, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0 or f".local/{sam_cli.ENV_FILE}' does not exist" not in done.stderr:
        raise SamError(f"without a local service `{' '.join(START_API)}` says: {done.stdout}{done.stderr}")


def _move_binary_chunks(client_id: str, client_secret: str) -> None:
    api = FerryClient(f"http://{HOST}:{sam_cli.API_PORT}").authenticate(client_id, client_secret)
    content = random.Random(3001).randbytes(CHUNK_BYTES + 1_000_003)
    expect(api.start(FILE_NAME, len(content)), 201, "start")
    for index, first in enumerate(range(0, len(content), CHUNK_BYTES), start=1):
        expect(api.send_chunk(FILE_NAME, index, content[first : first + CHUNK_BYTES]), 200, f"chunk {index}")
    expect(api.complete(FILE_NAME), 200, "complete")
    ranged = expect(api.download(FILE_NAME, f"bytes=0-{CHUNK_BYTES - 1}"), 206, "range").body
    if ranged != content[:CHUNK_BYTES] or api.download(FILE_NAME).body != content:
        raise SamError("the downloaded bytes differ from the uploaded ones")
