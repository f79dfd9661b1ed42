"""Read what needs no token: health, the API description, the public keys. Environment: FERRY_URL."""

from __future__ import annotations

import os
from typing import Any

import requests


def discover(url: str) -> dict[str, Any]:
    """Return the bodies of the three public documents."""
    paths = ("/health", "/openapi.json", "/.well-known/jwks.json")
    return {path: requests.get(url + path, timeout=30).json() for path in paths}


if __name__ == "__main__":
    found = discover(os.environ["FERRY_URL"])
    print(
        found["/health"]["status"],
        found["/openapi.json"]["info"]["version"],
        len(found["/.well-known/jwks.json"]["keys"]),
    )
