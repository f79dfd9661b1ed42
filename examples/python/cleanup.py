"""Expire the uploads of this namespace that have had no activity for a day. Needs the scope files:admin."""

from __future__ import annotations

from typing import Any

import requests
from connection import from_environment


def cleanup(url: str, session: requests.Session, older_than_seconds: int, *, dry_run: bool) -> int:
    """Return how many uploads expired, or would. A response that is not `complete` has a cursor to continue with."""
    params: dict[str, Any] = {"older_than": older_than_seconds, "dry_run": "true" if dry_run else "false"}
    expired = 0
    while True:
        response = session.delete(f"{url}/cleanup", params=params, timeout=60)
        response.raise_for_status()
        report = response.json()
        expired += report["expired"]
        if report["complete"]:
            return expired
        params["cursor"] = report["cursor"]


if __name__ == "__main__":
    base_url, connected = from_environment()
    print(cleanup(base_url, connected, 86_400, dry_run=True), "would expire")
    print(cleanup(base_url, connected, 86_400, dry_run=False), "expired")
