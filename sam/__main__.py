"""`python -m sam` serves until Ctrl-C; `image` builds the stand-in for Lambda's image; `smoke` builds and tests all."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from sam import daemon, stack
from sam.errors import SamError

LOCAL = stack.ROOT / ".local" / "sam"
WORK = stack.ROOT / "build" / "sam"
SMOKE_PORT = 3399


def main() -> int:
    """Exit codes: 0 as asked, 1 something is wrong and was said, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sam", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["local", "image", "smoke"], default="local")
    command = parser.parse_args().command
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with daemon.running(WORK / "dockerd.log"):
            {"local": _serve, "image": _image, "smoke": _smoke}[command]()
    except SamError as error:
        print(f"sam: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _interrupt(*_: object) -> None:
    # Everything that was started is stopped on the way out, as at Ctrl-C.
    raise KeyboardInterrupt


def _image() -> None:
    if subprocess.run(["bash", "sam/image.sh"], cwd=stack.ROOT, check=False).returncode:
        raise SamError("the stand-in image could not be built")


def _serve() -> None:
    stack.build()
    port = int(os.environ.get("PORT") or "3000")
    with stack.serving(port, LOCAL, os.environ.get("PARAMS", "")) as service:
        print(f"ready {service.base_url} · clients in {LOCAL / 'ferry.json'} · logs in {LOCAL}", flush=True)
        threading.Event().wait()


def _smoke() -> None:
    from sam import smoke

    _image()
    stack.build()
    with stack.serving(SMOKE_PORT, WORK / "smoke") as service:
        try:
            smoke.run(service)
        except SamError as error:
            raise SamError(
                f"{error}\n\nthe functions' last words:\n{_last_words(WORK / 'smoke' / 'sam.log')}"
            ) from error
    print("sam smoke: every byte as sent")


def _last_words(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])


if __name__ == "__main__":
    sys.exit(main())
