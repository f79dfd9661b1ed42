"""Measure `pip install ./client`: `python -m dev.bench.client_install [--rounds 3] [--write]`.

Each round makes a virtual environment and installs the client with its dependencies, from the package index that pip is
configured with. Unpacked bytes are those of the client and its dependencies, compiled files included, without pip.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dev.figures import write_figures
from dev.paths import ROOT

_NOT_THE_CLIENT = ("pip", "setuptools", "pkg_resources", "_distutils_hack", "distutils-precedence")
_STARTS = 10


def measure() -> dict[str, float]:
    """Install once, and return the figures. Raises `CalledProcessError`."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT / "client")]
        before, started_at = os.times(), time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        seconds, after = time.monotonic() - started_at, os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        packages = next(Path(folder).glob("[Ll]ib*/**/site-packages"))
        files = [
            path
            for entry in packages.iterdir()
            if not entry.name.startswith(_NOT_THE_CLIENT)
            for path in (entry.rglob("*") if entry.is_dir() else [entry])
        ]
        return {
            "seconds": round(seconds, 1),
            "cpu_seconds": round(used, 1),
            "unpacked_mb": round(sum(path.stat().st_size for path in files if path.is_file()) / 1e6, 1),
            "version_to_bare_start": round(
                _start([str(python.parent / "ferry"), "--version"]) / _start_bare(python), 2
            ),
        }


def _start_bare(python: Path) -> float:
    return _start([str(python), "-c", "pass"])


def _start(command: Sequence[str]) -> float:
    """Return the median seconds of a command."""
    seconds = []
    for _ in range(_STARTS):
        started_at = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.monotonic() - started_at)
    return statistics.median(seconds)


def main() -> int:
    """Measure, and print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="write docs/figures/client-install.json")
    options = parser.parse_args()
    rounds = [measure() for _ in range(options.rounds)]
    figures: dict[str, Any] = {key: round(statistics.median(entry[key] for entry in rounds), 2) for key in rounds[0]}
    figures |= {"rounds": options.rounds, "load_average": [round(load, 1) for load in os.getloadavg()]}
    print(figures)
    if options.write:
        print(f"wrote {write_figures('client-install', 'make prove-client-install', figures).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
