"""Run the local service: `python -m dev.local`."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from pathlib import Path

_REQUIRED_MODULES = ("awslambdaric", "ministack", "hypercorn", "pybase64", "yaml", "boto3", "cryptography")


def main() -> int:
    """Run the service. Return 1 when this Python lacks a package that it needs."""
    # Ctrl-C during the imports, which take a second or two, would print a traceback. Nothing was started by then.
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        missing = [name for name in _REQUIRED_MODULES if find_spec(name) is None]
        if missing:
            print(
                f"ferry: this Python lacks {', '.join(missing)}. Start with `make run`, which installs them",
                file=sys.stderr,
            )
            return 1
        # The local service imports the package `ferry` from the layer.
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "layers" / "common"))
        from dev.local.cli import main as run
    finally:
        signal.signal(signal.SIGINT, handler)
    return run()


if __name__ == "__main__":
    sys.exit(main())
