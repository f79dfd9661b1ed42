"""Upload a file in chunks through the API, or resume its upload. Usage: upload.py FILE [NAME]"""

from __future__ import annotations

import base64
import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import requests
from connection import from_environment


def upload(url: str, session: requests.Session, path: Path, name: str) -> dict[str, Any]:
    """Return the finished file. Called again after any failure, it sends only what is missing."""
    about = path.stat()
    # The fingerprint makes a repeated start resume this upload, and only this one.
    start = {"filename": name, "size": about.st_size, "fingerprint": f"{about.st_ino}-{about.st_mtime_ns}"}
    plan = post(session, f"{url}/upload/start", start).json()
    if plan["state"] == "complete":
        return dict(plan)

    received = {index for first, last in plan["received"]["chunks"] for index in range(first, last + 1)}
    with path.open("rb") as file:
        for index in range(1, plan["chunk_count"] + 1):
            if index not in received:
                file.seek((index - 1) * plan["chunk_size"])
                send_chunk(session, plan, index, file.read(plan["chunk_size"]))
    return complete(url, session, plan)


def send_chunk(session: requests.Session, plan: dict[str, Any], index: int, data: bytes) -> None:
    """Send one chunk. 200 means that it is durable; a chunk that is sent twice counts once."""
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    response = session.post(
        plan["chunk_url"],
        params={"filename": plan["filename"], "chunk_index": index, "upload_id": plan["upload_id"]},
        headers={"Content-Type": "application/octet-stream", "Content-Digest": f"sha-256=:{digest}:"},
        data=data,
        timeout=60,
    )
    response.raise_for_status()


def complete(url: str, session: requests.Session, plan: dict[str, Any]) -> dict[str, Any]:
    """Return the finished file. 202 means that it is not finished yet: repeat the request."""
    body = {"filename": plan["filename"], "upload_id": plan["upload_id"]}
    while (response := post(session, f"{url}/upload/complete", body)).status_code == 202:
        time.sleep(int(response.headers["Retry-After"]))
    return dict(response.json())


def post(session: requests.Session, url: str, body: dict[str, Any]) -> requests.Response:
    """Send JSON; raise an error that says what the service says."""
    response = session.post(url, json=body, timeout=60)
    if not response.ok:
        raise RuntimeError(f"{response.status_code} {response.json()['code']}: {response.json()['detail']}")
    return response


if __name__ == "__main__":
    source = Path(sys.argv[1])
    print(upload(*from_environment(), source, sys.argv[2] if len(sys.argv) > 2 else source.name))
