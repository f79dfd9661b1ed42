"""Store a file of up to 4 MiB in one request, then change its type. Usage: put_file.py FILE [NAME]"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests
from connection import from_environment


def put_file(url: str, session: requests.Session, path: Path, name: str, content_type: str) -> dict[str, Any]:
    """Store the file unless the name has one already, and return its record. It may be repeated."""
    body = path.read_bytes()
    digest = hashlib.sha256(body)
    metadata = {"sha256": digest.hexdigest()}
    headers = {
        "Content-Type": "application/octet-stream",  # arrives byte for byte through every gateway
        "Content-Digest": f"sha-256=:{base64.b64encode(digest.digest()).decode()}:",
        "Ferry-Metadata": base64.b64encode(json.dumps(metadata).encode()).decode(),
        "If-None-Match": "*",
    }
    params = {"content_type": content_type}
    response = session.put(f"{url}/files/{quote(name, safe='')}", body, params=params, headers=headers, timeout=30)
    if response.status_code == 412 and response.json()["current_file"]["metadata"] == metadata:
        # The name has this very file: an earlier request has stored it, and its response was lost.
        return dict(response.json()["current_file"])
    response.raise_for_status()
    return dict(response.json())


def get_record(url: str, session: requests.Session, name: str) -> dict[str, Any]:
    """Return the record of a file."""
    response = session.get(f"{url}/files/{quote(name, safe='')}", timeout=30)
    response.raise_for_status()
    return dict(response.json())


def change_file(url: str, session: requests.Session, name: str, etag: str, change: dict[str, Any]) -> dict[str, Any]:
    """Change type or metadata, if the file still has this ETag. A value of None removes a name of the metadata."""
    headers = {"Content-Type": "application/merge-patch+json", "If-Match": etag}
    target = f"{url}/files/{quote(name, safe='')}"
    response = session.patch(target, json.dumps(change), headers=headers, timeout=30)
    response.raise_for_status()
    return dict(response.json())


def usage(url: str, session: requests.Session) -> dict[str, Any]:
    """Return the limits of the namespace and what is used of them; {} without limits."""
    response = session.get(f"{url}/usage", timeout=30)
    response.raise_for_status()
    return dict(response.json())


if __name__ == "__main__":
    source = Path(sys.argv[1])
    filename = sys.argv[2] if len(sys.argv) > 2 else source.name
    connection = from_environment()
    file = put_file(*connection, source, filename, "text/plain")
    print(change_file(*connection, filename, file["etag"], {"content_type": "text/csv"}))
    print(usage(*connection))
