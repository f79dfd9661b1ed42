"""Print the progress of an upload until it ends, then list all uploads in progress. Usage: status.py NAME"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import requests
from connection import from_environment

ENDED = {"complete", "expired", "cancelled"}


def watch(url: str, session: requests.Session, name: str, seconds: int = 20) -> Iterator[dict[str, Any]]:
    """Yield the status now and after each change. A request waits up to `seconds` for the next change."""
    params: dict[str, int] = {}
    while True:
        response = session.get(f"{url}/status/{quote(name, safe='')}", params=params, timeout=seconds + 10)
        response.raise_for_status()
        status = response.json()
        if status["version"] != params.get("since"):
            yield status
        if status["state"] in ENDED:
            return
        params = {"wait": seconds, "since": status["version"]}


def is_unchanged(url: str, session: requests.Session, name: str, etag: str) -> bool:
    """Ask whether the status still has this ETag: 304 has no body."""
    headers = {"If-None-Match": etag}
    return session.get(f"{url}/status/{quote(name, safe='')}", headers=headers, timeout=30).status_code == 304


def list_uploads(url: str, session: requests.Session) -> Iterator[dict[str, Any]]:
    """Yield every upload in progress, page by page."""
    params: dict[str, Any] = {"limit": 100}
    while True:
        page = session.get(f"{url}/status", params=params, timeout=30).json()
        yield from page["uploads"]
        if "cursor" not in page:
            return
        params["cursor"] = page["cursor"]


if __name__ == "__main__":
    base_url, connected = from_environment()
    for status in watch(base_url, connected, sys.argv[1]):
        print(status["state"], status["percent"], status["missing"])
    print([upload["filename"] for upload in list_uploads(base_url, connected)])
