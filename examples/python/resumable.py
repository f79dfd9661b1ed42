"""Upload a file by tus 1.0.0, then create another upload and cancel it. Usage: resumable.py FILE [NAME]"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import requests
from connection import from_environment

PIECE_BYTES = 4 * 1024 * 1024
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


def create(url: str, session: requests.Session, name: str, size: int) -> str:
    """Create an upload, and return its address. Keep it: after a break, `offset` returns how far the upload is."""
    metadata = f"filename {base64.b64encode(name.encode()).decode()}"
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": metadata}
    response = session.post(f"{url}/uploads", headers=headers, timeout=30)
    response.raise_for_status()
    return response.headers["Location"]


def offset(session: requests.Session, upload: str) -> int:
    """Return how many bytes the upload has. Where only GET and POST pass, GET returns what HEAD does."""
    response = session.get(upload, headers=TUS, timeout=30)
    response.raise_for_status()
    return int(response.headers["Upload-Offset"])


def append(session: requests.Session, upload: str, at: int, piece: bytes, *, override: bool = False) -> int:
    """Append bytes, and return the new offset. With `override` the method is POST, for a network that lacks PATCH."""
    headers = {**PIECE, "Upload-Offset": str(at)}
    if override:
        headers["X-HTTP-Method-Override"] = "PATCH"
    response = session.request("POST" if override else "PATCH", upload, data=piece, headers=headers, timeout=60)
    response.raise_for_status()
    return int(response.headers["Upload-Offset"])


def send(session: requests.Session, upload: str, path: Path) -> None:
    """Send what the upload lacks. The last byte makes it a file."""
    at, size = offset(session, upload), path.stat().st_size
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            at = append(session, upload, at, file.read(PIECE_BYTES))


def cancel(session: requests.Session, upload: str) -> None:
    """Cancel an upload."""
    session.delete(upload, headers=TUS, timeout=30).raise_for_status()


if __name__ == "__main__":
    connection = from_environment()
    source = Path(sys.argv[1])
    filename = sys.argv[2] if len(sys.argv) > 2 else source.name
    send(connection[1], create(*connection, filename, source.stat().st_size), source)
    other = create(*connection, f"{filename} (other)", 5)
    append(connection[1], other, 0, b"he", override=True)
    cancel(connection[1], other)
