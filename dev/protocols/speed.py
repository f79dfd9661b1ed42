"""Measure tuspy against Ferry and against tus-node-server with its S3 store: `python -m dev.protocols.speed`.

Both servers use the same S3 server, and take chunks of 4 MiB. Each round uploads the file to both, one after the other,
in turns. The ratio is taken within a round, so that both sides of it have the same load of the machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dev.bench import contenders, service, speed
from dev.bench.errors import BenchError
from dev.bench.service import BenchService
from dev.figures import write_figures
from dev.local.errors import LocalError
from ferry.rules.layout import MIB

DEFAULT_ROUNDS, DEFAULT_SIZE_MIB = 9, 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if everything was measured."""
    parser = argparse.ArgumentParser(prog="make prove-tus-speed", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=DEFAULT_ROUNDS, help="uploads to each server")
    parser.add_argument("--size", type=int, default=DEFAULT_SIZE_MIB, metavar="MIB", help="size of the file")
    parser.add_argument("--write", action="store_true", help="write docs/figures/tus-speed.json")
    options = parser.parse_args(arguments)
    try:
        with service.running_service() as running, tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "file.bin"
            file.write_bytes(os.urandom(options.size * MIB))
            figures = measure(running, file, options.rounds)
    except (BenchError, LocalError) as error:
        print(f"prove-tus-speed: {error}", file=sys.stderr)
        return 1
    print(figures)
    if options.write:
        write_figures("tus-speed", "make prove-tus-speed", figures)
    return 0


def measure(running: BenchService, file: Path, rounds: int) -> dict[str, object]:
    """Upload the file to both servers in each round, and return the figures. Raises `BenchError`."""
    endpoint = running.connection_info["s3_endpoint"]
    running.create_bucket(contenders.BUCKET)
    ferry = contenders.ferry_tus_contender(running, file)
    seconds: dict[str, list[float]] = {}
    loads: list[float] = []
    with contenders.tus_contenders(running, endpoint, file) as peers:
        if not peers:
            raise BenchError("npm is not installed, so tus-node-server cannot be measured")
        for number in range(rounds + 1):
            both = [ferry, *peers]
            loads.append(os.getloadavg()[0])
            for contender in both if number % 2 else both[::-1]:
                measured, _, _ = speed.run_contender(contender)
                if number:  # the first round opens connections, and starts function instances
                    seconds.setdefault(contender.name, []).append(measured)
    mebibytes = file.stat().st_size / MIB
    ratios = [peer / own for own, peer in zip(seconds[ferry.name], seconds[peers[0].name], strict=True)]
    return {
        "size_mib": mebibytes,
        "rounds": rounds,
        "chunk_bytes": contenders.CHUNK_BYTES,
        "mib_per_second": {name: round(mebibytes / statistics.median(times), 1) for name, times in seconds.items()},
        "ferry_to_tus_node_server": round(statistics.median(ratios), 2),
        "lowest_ratio": round(min(ratios), 2),
        "highest_ratio": round(max(ratios), 2),
        "load_average": round(statistics.median(loads), 1),
    }


if __name__ == "__main__":
    raise SystemExit(main())
