"""Docker's daemon: the one that runs, or one of our own for as long as it is needed."""

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
    """Run Docker's client, wait, and return what it said."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


def is_docker_running() -> bool:
    """Whether a daemon runs that this user may speak to."""
    return run_docker("info").returncode == 0


@contextmanager
def docker_running(log_path: Path) -> Iterator[None]:
    """A daemon, stopped at the end if it was started here. What it says goes to `log`.

    Raises:
        SamError: there is no Docker, or its daemon does not run and cannot be started from here.
    """
    if shutil.which("docker") is None:
        raise SamError("Docker is not installed. On Debian: apt-get install docker.io")
    if is_docker_running():
        yield
        return
    dockerd = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if dockerd is None or os.geteuid() != 0:
        raise SamError("Docker's daemon does not run; start it, as root or as your system has it.")
    with managed_process([dockerd], env=os.environ, log_path=log_path) as daemon:
        wait_for(
            is_docker_running, daemon, name="Docker's daemon", log_path=log_path, timeout_seconds=START_TIMEOUT_SECONDS
        )
        sys.stderr.write("started Docker's daemon, until this ends\n")
        yield
