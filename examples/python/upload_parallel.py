"""Upload a file in chunks through the API, four parts at a time. Usage: upload_parallel.py FILE [NAME]"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import requests
from connection import from_environment
from upload import complete, post, send_chunk


def upload_parallel(url: str, session: requests.Session, path: Path, name: str) -> dict[str, Any]:
    """Return the finished file. Called again, it sends only what is missing."""
    about = path.stat()
    start = {"filename": name, "size": about.st_size, "fingerprint": f"{about.st_ino}-{about.st_mtime_ns}"}
    plan = post(session, f"{url}/upload/start", start).json()
    if plan["state"] == "complete":
        return dict(plan)
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(partial(send_part, session, path, plan), range(1, plan["part_count"] + 1)))
    return complete(url, session, plan)


def send_part(session: requests.Session, path: Path, plan: dict[str, Any], number: int) -> None:
    """Send the missing chunks of one part, one after another."""
    received = {index for first, last in plan["received"]["chunks"] for index in range(first, last + 1)}
    first = (number - 1) * plan["chunks_per_part"] + 1
    with path.open("rb") as file:
        for index in range(first, min(first + plan["chunks_per_part"], plan["chunk_count"] + 1)):
            if index not in received:
                file.seek((index - 1) * plan["chunk_size"])
                send_chunk(session, plan, index, file.read(plan["chunk_size"]))


if __name__ == "__main__":
    source = Path(sys.argv[1])
    print(upload_parallel(*from_environment(), source, sys.argv[2] if len(sys.argv) > 2 else source.name))
