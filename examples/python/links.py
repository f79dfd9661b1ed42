"""Share a file and a folder by links, fetch both without a token. Usage: links.py FILE FOLDER/ FILE_IN_FOLDER"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import quote

import requests
from connection import from_environment


def create_link(url: str, session: requests.Session, **members: Any) -> tuple[str, str]:
    """Create a link, and return its id and its secret, which is shown this once. Each call creates another one."""
    response = session.post(f"{url}/links", json=members, timeout=30)
    response.raise_for_status()
    link = response.json()
    return link["link_id"], link["url"].rpartition("/")[2]


def list_links(url: str, session: requests.Session) -> list[dict[str, Any]]:
    """Return the links of the namespace, the newest first, up to 1,000."""
    return list(_get(url, session, "/links?limit=1000")["links"])


def get_link(url: str, session: requests.Session, link_id: str) -> dict[str, Any]:
    """Return a link: its limits, and what is used of them."""
    return _get(url, session, f"/links/{link_id}")


def activity(url: str, session: requests.Session, link_id: str) -> list[dict[str, Any]]:
    """Return who fetched what by the link, and when, by network; the newest first."""
    return list(_get(url, session, f"/links/{link_id}/activity")["activity"])


def delete_link(url: str, session: requests.Session, link_id: str) -> None:
    """Delete a link. It ends within a minute. It may be repeated."""
    session.delete(f"{url}/links/{link_id}", timeout=30).raise_for_status()


def open_link(url: str, secret: str) -> dict[str, Any]:
    """Return what a link is for. No token is needed."""
    return _get(url, requests.Session(), f"/l/{secret}")


def files_of_link(url: str, secret: str) -> list[str]:
    """Return the whole names of the files in the folder of a link, up to 1,000."""
    return [file["filename"] for file in _get(url, requests.Session(), f"/l/{secret}/files?limit=1000")["files"]]


def download(url: str, secret: str, name: str = "") -> bytes:
    """Return the file of a link; of a link to a folder, the file with this whole name."""
    path = f"/download/{quote(name, safe='')}" if name else "/download"
    response = requests.get(f"{url}/l/{secret}{path}", timeout=30)
    response.raise_for_status()
    return response.content


def get_token(url: str, secret: str, password: str) -> str:
    """Return a token of a link with a password. It works for 15 minutes at most."""
    response = requests.post(f"{url}/l/{secret}/token", json={"password": password}, timeout=30)
    response.raise_for_status()
    return str(response.json()["access_token"])


def _get(url: str, session: requests.Session, path: str) -> dict[str, Any]:
    response = session.get(f"{url}{path}", timeout=30)
    response.raise_for_status()
    return dict(response.json())


if __name__ == "__main__":
    connection = from_environment()
    file, folder, file_in_folder = sys.argv[1:]
    link_id, secret = create_link(*connection, kind="download", filename=file, label="For you", max_downloads=10)
    print(open_link(connection[0], secret))
    print(len(download(connection[0], secret)), "bytes")
    folder_id, secret = create_link(*connection, kind="download", prefix=folder, expires_in=3600)
    print(*files_of_link(connection[0], secret), sep="\n")
    print(len(download(connection[0], secret, file_in_folder)), "bytes")
    print(activity(*connection, link_id))
    for created in (link_id, folder_id):
        delete_link(*connection, created)
