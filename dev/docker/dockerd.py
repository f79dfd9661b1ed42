"""Docker's daemon: the running one, or one that is started for as long as it is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.docker.errors import SamError
from dev.docker.processes import managed_process, wait_for

START_TIMEOUT_SECONDS = 60.0


def run_docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Docker's client to its end, and return its output."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


def is_docker_running() -> bool:
    """Return whether a daemon runs that this user may use."""
    return run_docker("info").returncode == 0


@contextmanager
def docker_running(log_path: Path) -> Iterator[None]:
    """Have a daemon run until the end of the block. One that was started here is stopped then; it logs to `log_path`.

    Raises:
        SamError: Docker is not installed, or its daemon does not run and cannot be started by this user.
    """
    if shutil.which("docker") is None:
        raise SamError("Docker is not installed. On Debian: apt-get install docker.io")
    if is_docker_running():
        yield
        return
    dockerd = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if dockerd is None or os.geteuid() != 0:
        raise SamError("Docker's daemon does not run. Start it (for example: sudo systemctl start docker), then repeat")
    with managed_process([dockerd], env=os.environ, log_path=log_path) as daemon:
        wait_for(
            is_docker_running, daemon, name="Docker's daemon", log_path=log_path, timeout_seconds=START_TIMEOUT_SECONDS
        )
        sys.stderr.write("started Docker's daemon; it stops when this command ends\n")
        yield
