"""Put load on a stack, and report rates, durations and rejected requests: `make load URL=https://…`.

The client's id and secret come from the environment (FERRY_CLIENT_ID, FERRY_CLIENT_SECRET). It prints the plan
and its cost first, and starts after a `y`, or at once with YES=1. Use it on a stack of your own: it uses up the rate
limits and the concurrency that all clients share.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from dev.bench.errors import BenchError
from dev.bench.load_plan import DEFAULT_MAX_GB, DataPath, LoadPlan
from dev.bench.load_run import LoadRun, format_report
from ferry.rules.layout import MIB

_ID_VARIABLE, _SECRET_VARIABLE = "FERRY_CLIENT_ID", "FERRY_CLIENT_SECRET"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 every file was stored, 1 some were not, 2 it was not started."""
    options = _parser().parse_args(arguments)
    try:
        plan = LoadPlan(
            url=options.url.rstrip("/"),
            data_path=DataPath(options.way),
            uploads=options.uploads,
            size_bytes=int(options.size * MIB),
            senders=options.senders,
            max_seconds=options.seconds,
            max_gb=options.max_gb,
        )
        credentials = _credentials()
    except BenchError as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    print(plan.describe(), file=sys.stderr)
    if not _is_confirmed():
        print("load: not started", file=sys.stderr)
        return 2
    try:
        report = LoadRun(plan, *credentials).run()
    except BenchError as error:
        print(f"load: {error}", file=sys.stderr)
        return 1
    print(format_report(report))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if report["files_stored"] == plan.uploads else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make load",
        description=__doc__.partition("\n")[0],
        epilog=f"environment: {_ID_VARIABLE} and {_SECRET_VARIABLE} of a client with the scope "
        "files:write, YES=1 to start without a question",
    )
    add = parser.add_argument
    add("url", help="the API's address")
    add(
        "--way",
        choices=[path.value for path in DataPath],
        default=DataPath.API.value,
        help="how the bytes travel (default api)",
    )
    add("--uploads", type=int, default=20, help="uploads that are open at once (default 20)")
    add("--size", type=float, default=16.0, metavar="MIB", help="size of each file (default 16)")
    add("--senders", type=int, default=8, help="requests at the same time (default 8)")
    add("--seconds", type=float, default=300.0, help="no request starts later than this (default 300)")
    add("--max-gb", type=float, default=DEFAULT_MAX_GB, help=f"bound of all bytes (default {DEFAULT_MAX_GB:g})")
    add("--json", type=Path, metavar="FILE", help="write the report to a file")
    return parser


def _credentials() -> tuple[str, str]:
    found = [os.environ.get(name, "") for name in (_ID_VARIABLE, _SECRET_VARIABLE)]
    if not all(found):
        raise BenchError(f"set {_ID_VARIABLE} and {_SECRET_VARIABLE} to those of a client (`ferry-admin client add`)")
    return found[0], found[1]


def _is_confirmed() -> bool:
    if os.environ.get("YES", "") not in ("", "0"):
        return True
    if not sys.stdin.isatty():
        print("load: there is no terminal to ask: set YES=1", file=sys.stderr)
        return False
    print("Start? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


if __name__ == "__main__":
    sys.exit(main())
