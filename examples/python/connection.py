"""A session that sends the token and retries what may succeed later. The other examples use it."""

from __future__ import annotations

import os

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry


def connect(token: str) -> requests.Session:
    """Return a session. Every request of Ferry may be repeated, so POST is retried too; Retry-After is honored."""
    retry = Retry(total=8, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    return session


def from_environment() -> tuple[str, requests.Session]:
    """Return the base URL and a session, from FERRY_URL and FERRY_TOKEN."""
    return os.environ["FERRY_URL"], connect(os.environ["FERRY_TOKEN"])
