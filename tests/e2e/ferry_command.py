"""Run the `ferry` command as a process of its own, against a local service, through a proxy with faults."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.network.fault_proxy import Fault, FaultProxy
from dev.paths import ROOT
from tests.e2e.clients import ServiceUnderTest

RUN = "from ferry_client.cli.main import main; main()"
TIMEOUT_SECONDS = 180

LARGE_CHUNKS = "import ferry_client.line; ferry_client.line.FIRST_CHUNK_BYTES = 1 << 20"
"""Python that begins with chunks of 1 MiB on an unknown line: 128 KiB take eight times as many requests."""

INTERRUPTIBLE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Python that lets SIGINT interrupt its process."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command that has ended said."""

    code: int
    """Exit code."""
    out: str
    """Standard output."""
    err: str
    """Standard error."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


class FerryCommand:
    """The command in a folder of its own."""

    def __init__(self, service: ServiceUnderTest, folder: Path, proxy: FaultProxy | None = None) -> None:
        client = next(client for client in service.connection_info["clients"] if client["client_id"] == "demo")
        self.folder = folder
        """Where it runs."""
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "client" / "src"),
            "FERRY_URL": service.connection_info["base_url"],
            "FERRY_CLIENT_ID": client["client_id"],
            "FERRY_CLIENT_SECRET": client["client_secret"],
            "FERRY_STATE_DIR": str(folder / ".state"),
            "FERRY_CONFIG_DIR": str(folder / ".config"),
        }
        """Its environment: nothing else, as in cron."""
        if proxy is not None:
            self.environment["http_proxy"] = proxy.url

    def start(self, *arguments: str, before: str = "") -> subprocess.Popen[str]:
        """Start it. `before` is Python that runs first in its process.

        It is interrupted by SIGINT even if the tests run in the background of a shell, which ignores the signal there.
        """
        return subprocess.Popen(
            [sys.executable, "-c", f"{INTERRUPTIBLE}\n{before}\n{RUN}", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, before: str = "", stdin: bytes | None = None) -> Result:
        """Run it to its end."""
        done = subprocess.run(
            [sys.executable, "-c", f"{before}\n{RUN}", *arguments],
            cwd=self.folder,
            env=self.environment,
            input=stdin or b"",
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def write(self, name: str, data: bytes) -> Path:
        """Write a file into its folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


def finish(process: subprocess.Popen[str]) -> Result:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=TIMEOUT_SECONDS)
    return Result(process.returncode, out, err)


def wait_for_request(proxy: FaultProxy, part: str, count: int = 1, method: str = "") -> None:
    """Wait until so many requests whose URL contains `part` have passed the proxy."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while matching(proxy.requests, part, method) < count:
        assert time.monotonic() < deadline, f"no request for {part}"
        time.sleep(0.02)


def matching(requests: Sequence[tuple[str, str]], part: str, method: str = "") -> int:
    """Return how many requests have a URL that contains `part`."""
    return sum(part in url and method in ("", sent) for sent, url in list(requests))


def random_faults(seed: int, part: float = 0.15) -> object:
    """Return a decision that spoils a part of all requests in each way."""
    random_number, lock = random.Random(seed), threading.Lock()
    faults = [
        Fault(status=503),
        Fault(status=429, headers={"Retry-After": "0"}),
        Fault(lose_response=True),
        Fault(cut_request_after=100_000),
        Fault(cut_response_after=50_000),
    ]

    def decide(method: str, url: str) -> Fault | None:
        del method, url
        with lock:
            return random_number.choice(faults) if random_number.random() < part else None

    return decide
