"""Download a range of a file. Usage: download_range.py NAME FIRST LAST TARGET"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

import requests
from connection import from_environment


def download_range(url: str, session: requests.Session, name: str, first: int, last: int) -> bytes:
    """Return the bytes from `first` to `last`, both included. Over 4 MiB, requests follows the redirect to S3."""
    address = f"{url}/download/partial/{quote(name, safe='')}"
    size = int(session.head(address, timeout=30).headers["Content-Length"])
    if first >= size:
        raise ValueError(f"the file has {size} bytes")
    response = session.get(address, headers={"Range": f"bytes={first}-{last}"}, timeout=60)
    response.raise_for_status()
    return response.content


if __name__ == "__main__":
    found = download_range(*from_environment(), sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    Path(sys.argv[4]).write_bytes(found)
