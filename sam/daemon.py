"""Docker's daemon: the one that runs, or one of our own for as long as it is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam.children import child, wait_for
from sam.errors import SamError

START_SECONDS = 60.0


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Docker's client, wait, and return what it said."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


def answers() -> bool:
    """Whether a daemon runs that this user may speak to."""
    return docker("info").returncode == 0


@contextmanager
def running(log: Path) -> Iterator[None]:
    """A daemon, stopped at the end if it was started here. What it says goes to `log`.

    Raises:
        SamError: there is no Docker, or its daemon does not run and cannot be started from here.
    """
    if shutil.which("docker") is None:
        raise SamError("Docker is not installed. On Debian: apt-get install docker.io")
    if answers():
        yield
        return
    dockerd = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if dockerd is None or os.geteuid() != 0:
        raise SamError("Docker's daemon does not run; start it, as root or as your system has it.")
    with child([dockerd], env=os.environ, log=log) as daemon:
        wait_for(answers, daemon, what="Docker's daemon", log=log, seconds=START_SECONDS)
        sys.stderr.write("started Docker's daemon, until this ends\n")
        yield
