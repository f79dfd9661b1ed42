"""`python -m dev.docker` serves until Ctrl-C. `image` builds the stand-in for Lambda's image.

`smoke` builds everything and moves files through it. `test` builds everything, runs every event of `events/`, and then
the whole end-to-end suite.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from dev.docker import dockerd, start_api
from dev.docker.errors import SamError
from dev.paths import ROOT

STATE_FOLDER = ROOT / ".local" / "docker"
WORK_FOLDER = ROOT / "build" / "docker"


def main() -> int:
    """Exit codes: 0 as asked, 1 something is wrong and was said, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m dev.docker", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["local", "image", "smoke", "test"], default="local")
    command = parser.parse_args().command
    signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        with dockerd.docker_running(WORK_FOLDER / "dockerd.log"):
            {"local": _serve, "image": _build_image, "smoke": _smoke, "test": _test}[command]()
    except SamError as error:
        print(f"sam: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _raise_interrupt(*_: object) -> None:
    # Everything that was started is stopped on the way out, as at Ctrl-C.
    raise KeyboardInterrupt


def _build_image() -> None:
    if subprocess.run(["bash", "dev/docker/image.sh"], cwd=ROOT, check=False).returncode:
        raise SamError("the stand-in image could not be built")


def _serve() -> None:
    start_api.build()
    port = int(os.environ.get("PORT") or "3000")
    with start_api.start_api(port, STATE_FOLDER, os.environ.get("PARAMS", "")) as service:
        print(
            f"ready {service.base_url} · clients in {STATE_FOLDER / 'ferry.json'} · logs in {STATE_FOLDER}", flush=True
        )
        threading.Event().wait()


def _smoke() -> None:
    from dev.docker import smoke

    _run_on_built_service("smoke", smoke.run)
    print("sam smoke: every byte as sent")


def _test() -> None:
    from dev.docker import e2e, invoke

    _run_on_built_service("test", invoke.run, e2e.run)
    print("sam test: every event answered, and the end-to-end suite holds")


def _run_on_built_service(name: str, *runs: Callable[[start_api.SamService], None]) -> None:
    _build_image()
    start_api.build()
    # Files of an earlier run would stand in the way of this one's.
    shutil.rmtree(WORK_FOLDER / name, ignore_errors=True)
    with start_api.start_api(start_api.free_port(), WORK_FOLDER / name) as service:
        try:
            for run in runs:
                run(service)
        except SamError as error:
            words = _log_tail(service.folder / "sam.log")
            raise SamError(f"{error}\n\nthe functions' last words:\n{words}") from error


def _log_tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])


if __name__ == "__main__":
    sys.exit(main())
