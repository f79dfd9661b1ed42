"""Upload a file in parts directly to S3, four at a time. Usage: upload_parts.py FILE [NAME]"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from connection import from_environment
from upload import complete, post

PARTS_PER_REQUEST = 100


def upload_parts(url: str, session: requests.Session, path: Path, name: str) -> dict[str, Any]:
    """Return the finished file. Called again, it sends only the parts that are missing."""
    about = path.stat()
    # The fingerprint makes a repeated start resume this upload, and only this one.
    start = {"filename": name, "size": about.st_size, "fingerprint": f"{about.st_ino}-{about.st_mtime_ns}"}
    plan = post(session, f"{url}/upload/start", start).json()
    if plan["state"] == "complete":
        return dict(plan)
    received = {number for first, last in plan["received"]["parts"] for number in range(first, last + 1)}
    missing = [number for number in range(1, plan["part_count"] + 1) if number not in received]
    for first in range(0, len(missing), PARTS_PER_REQUEST):
        wanted = [{"part_number": number} for number in missing[first : first + PARTS_PER_REQUEST]]
        body = {"filename": name, "upload_id": plan["upload_id"], "parts": wanted}
        signed = post(session, f"{url}/upload/parts", body).json()["parts"]
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda part: put_part(path, part, plan["part_size"]), signed))
    return complete(url, session, plan)


def put_part(path: Path, part: dict[str, Any], part_size: int) -> None:
    """Send one part. The URL is the permission: no token. Content-Length must be exactly `size`."""
    with path.open("rb") as file:
        file.seek((part["part_number"] - 1) * part_size)
        data = file.read(part["size"])
    requests.put(part["url"], data=data, headers=part["headers"], timeout=300).raise_for_status()


if __name__ == "__main__":
    source = Path(sys.argv[1])
    print(upload_parts(*from_environment(), source, sys.argv[2] if len(sys.argv) > 2 else source.name))
