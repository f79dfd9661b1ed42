"""Show a folder, move a file, delete another and restore it. Usage: folders.py FOLDER/ FILE NEW_NAME OTHER"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import requests
from connection import from_environment


def list_folder(url: str, session: requests.Session, folder: str) -> Iterator[str]:
    """Yield the names of the files in a folder and its folders, which end with `/`. The root is the empty text."""
    params: dict[str, Any] = {"prefix": folder, "delimiter": "/", "limit": 1000}
    while True:
        response = session.get(f"{url}/files", params=params, timeout=30)
        response.raise_for_status()
        page = response.json()
        yield from sorted([*page["prefixes"], *(file["filename"] for file in page["files"])])
        if "cursor" not in page:
            return
        params["cursor"] = page["cursor"]


def move_file(url: str, session: requests.Session, name: str, new_name: str, etag: str) -> dict[str, Any]:
    """Rename the file, if it still has this ETag and the new name is free. It may be repeated."""
    return _post(url, session, "move", {"from": name, "to": new_name, "etag": etag})


def delete_files(url: str, session: requests.Session, names: list[str]) -> dict[str, Any]:
    """Delete up to 100 files. Return the names in `deleted`, `missing` and `errors`."""
    return _post(url, session, "delete", {"filenames": names})


def list_deleted(url: str, session: requests.Session, name: str) -> list[dict[str, Any]]:
    """Return the files that this name, and names that it begins, have lost: the last one of each name first."""
    response = session.get(f"{url}/files", params={"prefix": name, "deleted": "true"}, timeout=30)
    response.raise_for_status()
    return list(response.json()["files"])


def restore_file(url: str, session: requests.Session, name: str) -> dict[str, Any]:
    """Restore the last file that the name lost, under another name if it has a file again."""
    return _post(url, session, "restore", {"filename": name, "if_exists": "rename"})


def _post(url: str, session: requests.Session, action: str, body: dict[str, Any]) -> dict[str, Any]:
    response = session.post(f"{url}/files/{action}", json=body, timeout=30)
    response.raise_for_status()
    return dict(response.json())


if __name__ == "__main__":
    folder, old_name, target, other = sys.argv[1:]
    connection = from_environment()
    print(*list_folder(*connection, folder), sep="\n")
    record = connection[1].get(f"{connection[0]}/files", params={"filename": old_name}, timeout=30).json()
    print(move_file(*connection, old_name, target, record["etag"])["filename"])
    print(delete_files(*connection, [other]))
    print(list_deleted(*connection, other)[0]["restorable_until"])
    print(restore_file(*connection, other)["filename"])
