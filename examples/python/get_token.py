"""Print an access token. Environment: FERRY_URL, CLIENT_ID, CLIENT_SECRET."""

from __future__ import annotations

import os

import requests


def get_token(url: str, client_id: str, client_secret: str, scope: str = "") -> str:
    """Return a token, valid for an hour. `scope` narrows it, for example to "files:read"."""
    form = {"grant_type": "client_credentials", "scope": scope}
    response = requests.post(f"{url}/auth/token", data=form, auth=(client_id, client_secret), timeout=30)
    response.raise_for_status()
    return str(response.json()["access_token"])


if __name__ == "__main__":
    print(get_token(os.environ["FERRY_URL"], os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"]))
