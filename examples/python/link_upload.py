"""Hand out an upload link, and send a file by it without a token. Usage: link_upload.py FILE [NAME]"""

from __future__ import annotations

import sys
from pathlib import Path

import requests
from connection import from_environment
from links import activity
from resumable import append, cancel, create, send


def upload_link(url: str, session: requests.Session, prefix: str) -> dict[str, str]:
    """Create a link that takes ten files of 10 GB in all, for a day. Its `url` is the secret to hand out."""
    members = {"kind": "upload", "prefix": prefix, "max_files": 10, "max_bytes": 10**10, "expires_in": 86_400}
    response = session.post(f"{url}/links", json=members, timeout=30)
    response.raise_for_status()
    return dict(response.json())


def send_by_link(link: str, name: str, path: Path) -> None:
    """Send a file by the address of a link, which takes the place of the service's. The name is that in its folder."""
    guest = requests.Session()
    send(guest, create(link, guest, name, path.stat().st_size), path)


if __name__ == "__main__":
    connection = from_environment()
    source = Path(sys.argv[1])
    filename = sys.argv[2] if len(sys.argv) > 2 else source.name
    created = upload_link(*connection, prefix="inbox/")
    send_by_link(created["url"], filename, source)
    print(activity(*connection, created["link_id"]))
    guest_session = requests.Session()
    other = create(created["url"], guest_session, f"{filename} (other)", 5)
    append(guest_session, other, 0, b"he", override=True)
    cancel(guest_session, other)
