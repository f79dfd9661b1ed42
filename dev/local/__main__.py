"""Run the local service: `python -m dev.local`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

_REQUIRED_MODULES = ("awslambdaric", "ministack", "hypercorn", "pybase64", "yaml", "boto3", "cryptography")


def main() -> int:
    """Run the service. Return 1 when this Python lacks a package that it needs."""
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

    return run()


if __name__ == "__main__":
    sys.exit(main())
