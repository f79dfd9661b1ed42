"""Verify an access token in a service of your own. Environment: FERRY_URL, FERRY_TOKEN.

Needs `pip install "pyjwt[crypto]"`.
"""

from __future__ import annotations

import os
from typing import Any

import jwt


def verify(url: str, token: str) -> dict[str, Any]:
    """Return the claims: `sub` is the client, `ns` its namespace, `scope` its scopes. Raises `jwt.PyJWTError`."""
    key = jwt.PyJWKClient(f"{url}/.well-known/jwks.json").get_signing_key_from_jwt(token)
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["ES256"], audience="ferry", leeway=30)
    return claims


if __name__ == "__main__":
    print(verify(os.environ["FERRY_URL"], os.environ["FERRY_TOKEN"])["ns"])
