"""Run the built functions in Docker containers behind SAM CLI, until Ctrl-C.

`image` builds an emulator of Lambda's container image. `plain` types the documented SAM commands in a fresh clone.
`smoke` moves files through the built functions. `test` runs `plain`, and on the functions that it built it invokes one
with each event of `events/` and runs the end-to-end tests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable

from dev.docker import dockerd, start_api
from dev.docker.errors import SamError
from dev.docker.processes import read_log_tail
from dev.paths import ROOT

STATE_FOLDER = ROOT / ".local" / "docker"
WORK_FOLDER = ROOT / "build" / "docker"


def main() -> int:
    """Run a command. Exit codes: 0 success, 1 a failure that was printed, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m dev.docker", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["local", "image", "plain", "smoke", "test"], default="local")
    command = parser.parse_args().command
    signal.signal(signal.SIGTERM, _raise_interrupt)
    try:
        with dockerd.docker_running(WORK_FOLDER / "dockerd.log"):
            {"local": _serve, "image": start_api.build_image, "plain": _plain, "smoke": _smoke, "test": _test}[
                command
            ]()
    except SamError as error:
        print(f"sam: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _raise_interrupt(*_: object) -> None:
    # Stops everything that was started, as Ctrl-C does.
    raise KeyboardInterrupt


def _serve() -> None:
    start_api.build()
    port = int(os.environ.get("PORT") or "3000")
    with start_api.start_api(port, STATE_FOLDER, os.environ.get("PARAMS", "")) as service:
        where = f"clients in {STATE_FOLDER / 'ferry.json'} · logs in {STATE_FOLDER}"
        print(f"ready {service.base_url} · {where}", flush=True)
        threading.Event().wait()


def _plain() -> None:
    from dev.docker import plain_commands

    start_api.build_image()
    plain_commands.run(WORK_FOLDER / "plain")


def _smoke() -> None:
    from dev.docker import smoke

    start_api.build_image()
    start_api.build()
    _run_on_service("smoke", smoke.run)
    print("sam smoke: every byte as sent")


def _test() -> None:
    from dev.docker import e2e, invoke, plain_commands

    start_api.build_image()
    # The functions that the tests call, and the image with their layer, are what the documented commands built.
    start_api.copy_build(plain_commands.run(WORK_FOLDER / "plain"))
    _run_on_service("test", invoke.run, e2e.run, has_images=True)
    print("sam test: every event, the end-to-end tests and the documented commands passed")


def _run_on_service(name: str, *runs: Callable[[start_api.SamService], None], has_images: bool = False) -> None:
    # Files of an earlier run have the names that this one uploads.
    shutil.rmtree(WORK_FOLDER / name, ignore_errors=True)
    with start_api.start_api(start_api.free_port(), WORK_FOLDER / name, has_images=has_images) as service:
        try:
            for run in runs:
                run(service)
        except SamError as error:
            log_tail = read_log_tail(service.folder / "sam.log", line_count=30)
            raise SamError(f"{error}\n\nthe end of the functions' log:\n{log_tail}") from error


if __name__ == "__main__":
    sys.exit(main())
