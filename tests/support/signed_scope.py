"""ASGI scopes of requests that botocore signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def signed_scope(
    service: str,
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    key: str = "x",
    secret: str = "x",
) -> Any:
    """Return the scope of a request, signed with this key for this service and body."""
    parts = urlsplit(url)
    request = AWSRequest(method, url, data=body, headers={**headers, "Host": parts.netloc})
    SigV4Auth(Credentials(key, secret), service, "us-east-1").add_auth(request)
    return {
        "type": "http",
        "method": method,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()],
    }
