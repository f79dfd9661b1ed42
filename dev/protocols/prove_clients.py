"""Upload 300 MB by each client of tus, with cuts and kills in between: `python -m dev.protocols.prove_clients`.

Each upload has three cuts of its connection and three kills of every process of the service, in turns. The file that
the service has then is compared by SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from dev.figures import write_figures
from dev.protocols import clients
from dev.protocols.clients import Upload
from dev.protocols.disruptions import DisruptedService, Disruption, disrupted_service, spread

SIZE_BYTES = 300_000_000
DISRUPTIONS = [Disruption.CUT, Disruption.KILL] * 3
_BLOCK_BYTES = 1024 * 1024

Run = tuple[Callable[[Upload], None], int]
"""A client, and its chunk size."""


def runs() -> Mapping[str, Run]:
    """Return the clients by name."""
    found: dict[str, Run] = {
        f"{name}, {size:,} bytes": (client, size)
        for name, client in clients.PYTHON_CLIENTS.items()
        for size in clients.CHUNK_SIZES
    }
    found["tus-js-client"] = (clients.upload_by_tus_js, clients.CHUNK_BYTES)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every file arrived whole."""
    parser = argparse.ArgumentParser(prog="make prove-tus-clients", description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=SIZE_BYTES, help="bytes of the file")
    parser.add_argument("--only", default="", help="run clients whose name contains this")
    parser.add_argument("--write", action="store_true", help="write docs/figures/tus-clients.json")
    options = parser.parse_args(arguments)
    clients.install_npm_packages()
    figures: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content.bin"
        expected = _write_content(path, options.size)
        with disrupted_service(Path(folder) / "state") as service:
            for name, run in runs().items():
                if options.only in name:
                    figures[name] = _prove(service, name, run, path, expected)
                    print(f"{name}: {figures[name]}", flush=True)
    if options.write:
        content = {"size_bytes": options.size, "clients": figures}
        write_figures("tus-clients", "make prove-tus-clients", content)
    return int(not figures or not all(figure["sha256_equal"] for figure in figures.values()))


def _write_content(path: Path, size: int) -> str:
    """Write a file of random bytes, and return its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for start in range(0, size, _BLOCK_BYTES):
            block = os.urandom(min(_BLOCK_BYTES, size - start))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def _prove(service: DisruptedService, name: str, run: Run, path: Path, expected: str) -> dict[str, object]:
    """Upload by a client, and return its figures. The file is deleted afterwards."""
    client, chunk_bytes = run
    upload = Upload(f"{service.base_url}/uploads", service.log_in().token, path, f"{name}.bin", chunk_bytes)
    size = path.stat().st_size
    sent_before, started_at = service.bytes_sent, time.monotonic()
    service.run(partial(client, upload), spread(size, DISRUPTIONS))
    seconds = time.monotonic() - started_at
    api = service.log_in()
    body = api.download(upload.name).body
    api.request("DELETE", f"/files?filename={upload.name.replace(' ', '%20')}")
    return {
        "sha256_equal": hashlib.sha256(body).hexdigest() == expected,
        "cuts": DISRUPTIONS.count(Disruption.CUT),
        "kills": DISRUPTIONS.count(Disruption.KILL),
        "seconds": round(seconds, 1),
        "sent_share": round((service.bytes_sent - sent_before) / size, 3),
    }


if __name__ == "__main__":
    raise SystemExit(main())
