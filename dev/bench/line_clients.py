"""One run of `ferry`, tus-js-client, rclone or aws-cli over a bad line (`dev.bench.bad_lines`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev.bench import s3_clients
from dev.bench.bad_lines import CLOCK_LINE, LINES, Case, Command, run, run_case, running_line, same_bytes, write_random
from dev.bench.contenders import TUS_FOLDER
from dev.bench.errors import BenchError
from dev.bench.service import BenchService
from dev.network.fault_proxy import FaultProxy

TUS_CLIENT = "tus-js-client"
TUS_CHUNK_BYTES = 4 * 1024 * 1024
"""Bytes of a request of tus-js-client, as docs/protocol-clients.md names them."""

CLOCK_AN_HOUR_OFF = "import time; _right = time.time; time.time = lambda: _right() + 3600\n"


def cases(names: list[str], others: bool) -> dict[str, list[Case]]:
    """Return the cases by client: ferry's, and if `others` those of the other clients that are installed.

    The others have no line with a wrong clock: no common way makes the clock of one process wrong. tus-js-client has no
    downloads.
    """
    found = {"ferry": [Case("ferry", line, direction) for line in names for direction in ("up", "down")]}
    if others:
        lines = [line for line in names if line != CLOCK_LINE]
        for client in ("rclone", "aws"):
            if shutil.which(client):
                name = {"aws": "aws-cli"}.get(client, client)
                found[name] = [Case(name, line, direction) for line in lines for direction in ("up", "down")]
        if shutil.which("node") and (TUS_FOLDER / "node_modules" / "tus-js-client").is_dir():
            found[TUS_CLIENT] = [Case(TUS_CLIENT, line, "up") for line in lines]
    return found


def install_tus_client() -> None:
    """Install tus-js-client by npm, unless it is there. Raises `BenchError`."""
    if shutil.which("npm") is None or (TUS_FOLDER / "node_modules" / "tus-js-client").is_dir():
        return
    command = ["npm", "ci", "--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund"]
    if subprocess.run(command, cwd=TUS_FOLDER, check=False, stdout=subprocess.DEVNULL).returncode:
        raise BenchError("npm ci failed in dev/bench/tus")


class LineBench:
    """Runs cases against one service. Thread-safe."""

    def __init__(self, service: BenchService, root: Path, seconds: float) -> None:
        self._service = service
        self._root = root
        self._seconds = seconds
        self._store = service.create_bucket(s3_clients.BUCKET)

    def warm_up(self, size: int = 12_000_000) -> None:
        """Send and fetch a file without a line, so that no run waits for the first start of a function."""
        folder = self._new_folder()
        source = folder / "warm-up"
        write_random(source, size)
        run(self._ferry(folder, "", None, "put", str(source), "warm-up"))
        run(self._ferry(folder, "", None, "get", "warm-up", str(folder / "warm-up-back")))

    def measure(self, case: Case) -> dict[str, Any]:
        """Move one file over one line in a folder of its own, and return the figures."""
        folder = self._new_folder()
        try:
            size = case.size(self._seconds)
            write_random(folder / "source", size)
            measure = self._measure_ferry if case.client == "ferry" else self._measure_other
            return measure(case, folder, size)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._root))

    def _deadline(self, case: Case) -> float:
        """Return the seconds that a run may take: twice those that the line needs, outages included."""
        network = LINES[case.line]
        every = network.outage_every_seconds
        return 2 * self._seconds * (1 if every is None else every / (every - network.outage_seconds))

    def _measure_ferry(self, case: Case, folder: Path, size: int) -> dict[str, Any]:
        source, target, name = folder / "source", folder / "target", folder.name
        before = CLOCK_AN_HOUR_OFF if case.line == CLOCK_LINE else ""
        if case.direction == "down":
            run(self._ferry(folder, "", None, "put", str(source), name))
        with FaultProxy() as forward, running_line(case, ("127.0.0.1", forward.port)) as line:
            proxy = f"http://127.0.0.1:{line.port}"
            words = ("put", str(source), name) if case.direction == "up" else ("get", name, str(target))
            command = self._ferry(folder, before, proxy, *words)
            is_right = self._check(case, folder, lambda: self._fetch_by_ferry(folder, name, target))
            return run_case(case, line, command, size, deadline=self._deadline(case), is_right=is_right)

    def _fetch_by_ferry(self, folder: Path, name: str, target: Path) -> None:
        run(self._ferry(folder, "", None, "get", name, str(target)))

    def _measure_other(self, case: Case, folder: Path, size: int) -> dict[str, Any]:
        with ExitStack() as stack:
            if case.client == TUS_CLIENT:
                return self._measure_tus(case, folder, size, stack)
            endpoint = urlsplit(self._service.connection_info["s3_endpoint"])
            line = stack.enter_context(running_line(case, (str(endpoint.hostname), int(endpoint.port or 80))))
            [client] = [
                found
                for found in s3_clients.s3_clients(self._service, f"http://127.0.0.1:{line.port}")
                if found.name == case.client
            ]
            name, target = folder.name, folder / "target"
            if case.direction == "down":
                self._store.upload_file(str(folder / "source"), s3_clients.BUCKET, name)
            kind, file = ("put_file", folder / "source") if case.direction == "up" else ("get_file", target)
            command = Command(client.command(kind, file, name), client.environment)

            def fetch() -> None:
                self._store.download_file(s3_clients.BUCKET, name, str(target))

            is_right = self._check(case, folder, fetch)
            return run_case(case, line, command, size, deadline=self._deadline(case), is_right=is_right)

    def _measure_tus(self, case: Case, folder: Path, size: int, stack: ExitStack) -> dict[str, Any]:
        base_url = self._service.connection_info["base_url"]
        parts = urlsplit(base_url)
        line = stack.enter_context(running_line(case, (str(parts.hostname), int(parts.port or 80))))
        origin = f"http://127.0.0.1:{line.port}"
        source, name, token = folder / "source", folder.name, self._service.client().token
        words = ["node", "line_upload.mjs", origin, token, str(source), name, str(TUS_CHUNK_BYTES)]
        environment = {"PATH": os.environ["PATH"]}
        command = Command(["env", f"--chdir={TUS_FOLDER}", *words], environment)
        is_right = self._check(case, folder, lambda: self._fetch_by_ferry(folder, name, folder / "target"))
        return run_case(case, line, command, size, deadline=self._deadline(case), is_right=is_right)

    def _check(self, case: Case, folder: Path, fetch: Callable[[], None]) -> Callable[[], bool]:
        """Return what compares the bytes that arrived; those of an upload are fetched without the line first."""

        def is_right() -> bool:
            if case.direction == "up":
                fetch()
            return same_bytes(folder / "source", folder / "target")

        return is_right

    def _ferry(self, folder: Path, before: str, proxy: str | None, *arguments: str) -> Command:
        """Return a command that runs the Python code `before`, then `ferry` with no figures of the line."""
        state = Path(tempfile.mkdtemp(prefix="state", dir=folder))
        environment = s3_clients.ferry_environment(self._service.connection_info, state, proxy)
        program = f"{before}from ferry_client.cli.main import main; main()"
        return Command([sys.executable, "-c", program, *arguments], environment)
