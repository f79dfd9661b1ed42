"""Run the local service of an earlier commit, as the baseline of a benchmark."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.bench.errors import BenchError
from dev.local import tcp_ports
from dev.local.client import FerryClient
from dev.local.launcher import START_TIMEOUT_SECONDS, STOP_TIMEOUT_SECONDS
from dev.paths import ROOT

BASELINE_COMMIT = "7f68a67"
"""The commit before files, links and the client were built."""

_SOURCES_FOLDER = ROOT / "build" / "bench"


@dataclass(frozen=True, slots=True)
class PreviousService:
    """A running local service of an earlier commit, with its own gateway, functions and backends."""

    state_folder: Path
    """Its state folder."""

    @property
    def connection_info(self) -> dict[str, Any]:
        """The addresses and the clients (`ferry.json`)."""
        found: dict[str, Any] = json.loads((self.state_folder / "ferry.json").read_text(encoding="utf-8"))
        return found

    def client(self) -> FerryClient:
        """Return an API client that is authenticated as `demo`."""
        client = self.connection_info["clients"][0]
        return FerryClient(self.connection_info["base_url"]).authenticate(client["client_id"], client["client_secret"])


def sources(commit: str = BASELINE_COMMIT) -> Path:
    """Return a folder with the files of a commit. Raises `BenchError` if the clone does not have it."""
    folder = _SOURCES_FOLDER / commit
    if not folder.is_dir():
        archived = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
        if archived.returncode:
            raise BenchError(f"this clone does not have commit {commit}: run git fetch --unshallow, then repeat")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
            archive.extractall(folder, filter="data")
    return folder


@contextmanager
def running_previous(folder: Path, instances: int) -> Iterator[PreviousService]:
    """Run the service of `BASELINE_COMMIT` over a state folder. Raises `BenchError`."""
    command = [
        *(sys.executable, "-m", "local", "--quiet", "--with-parent", "--state", str(folder), "--params", ""),
        *("--port", str(tcp_ports.free_ports(1)[0]), "--copies", str(instances)),
    ]
    process = subprocess.Popen(
        command,
        cwd=sources(),
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    timer = threading.Timer(START_TIMEOUT_SECONDS, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        if not any(line.startswith("ready") for line in process.stdout):
            raise BenchError(f"the local service of {BASELINE_COMMIT} did not start")
        timer.cancel()
        yield PreviousService(folder)
    finally:
        timer.cancel()
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
