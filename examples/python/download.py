"""Download a file, or resume its download. Usage: download.py NAME [TARGET]"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

import requests


def download(url: str, token: str, path: str) -> None:
    """Continue the file at `path`, or begin. The ETag of what is there is kept beside it."""
    target, note = Path(path), Path(f"{path}.etag")
    start = target.stat().st_size if target.exists() and note.exists() else 0
    headers = {"Authorization": f"Bearer {token}"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Match": note.read_text(encoding="ascii")}
    with requests.get(url, headers=headers, stream=True, timeout=60) as response:
        if response.status_code == 412:  # the file was replaced: what is here belongs to another one
            target.unlink()
            return download(url, token, path)
        if response.status_code == 416:  # nothing is left to fetch
            return None
        response.raise_for_status()
        note.write_text(response.headers["ETag"], encoding="ascii")
        with target.open("ab" if response.status_code == 206 else "wb") as file:
            for piece in response.iter_content(1024 * 1024):
                file.write(piece)
    return None


def head(url: str, token: str) -> requests.Response:
    """Return the headers of the whole file: size, type, ETag, digest. HEAD never redirects."""
    response = requests.head(url, headers={"Authorization": f"Bearer {token}"}, timeout=30)
    response.raise_for_status()
    return response


if __name__ == "__main__":
    address = f"{os.environ['FERRY_URL']}/download/{quote(sys.argv[1], safe='')}"
    print(head(address, os.environ["FERRY_TOKEN"]).headers["Content-Length"], "bytes")
    download(address, os.environ["FERRY_TOKEN"], sys.argv[-1])
