"""Cancel the upload in progress of a name. A finished file of that name stays. Usage: cancel.py NAME"""

from __future__ import annotations

import sys
from urllib.parse import quote

import requests
from connection import from_environment


def cancel(url: str, session: requests.Session, name: str) -> None:
    """Cancel it. 204, and 204 again when it is repeated."""
    session.delete(f"{url}/upload/{quote(name, safe='')}", timeout=30).raise_for_status()


if __name__ == "__main__":
    cancel(*from_environment(), sys.argv[1])
