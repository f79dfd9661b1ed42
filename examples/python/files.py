"""List the finished files whose names begin with a prefix, then delete one. Usage: files.py PREFIX [NAME]"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import requests
from connection import from_environment


def list_files(url: str, session: requests.Session, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield every file, ordered by name, page by page."""
    params: dict[str, Any] = {"prefix": prefix, "limit": 100}
    while True:
        response = session.get(f"{url}/files", params=params, timeout=30)
        response.raise_for_status()
        page = response.json()
        yield from page["files"]
        if "cursor" not in page:
            return
        params["cursor"] = page["cursor"]


def delete_file(url: str, session: requests.Session, name: str) -> None:
    """Delete a finished file. Downloads in progress continue for a day."""
    session.delete(f"{url}/files/{quote(name, safe='')}", timeout=30).raise_for_status()


if __name__ == "__main__":
    for each in list_files(*from_environment(), sys.argv[1]):
        print(each["size"], each["filename"])
    if len(sys.argv) > 2:
        delete_file(*from_environment(), sys.argv[2])
