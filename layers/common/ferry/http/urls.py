"""Absolute URLs of the API, for clients.

They are built on the parameter `PublicUrl`, else on the domain name that the gateway reports. `Host`, `Forwarded` and
`X-Forwarded-*` come from the client, so no URL contains them.
"""

from __future__ import annotations

from ferry.http.request import Request


def base_url(request: Request, public_url: str) -> str:
    """Return the URL of the API, without a `/` at its end. `public_url` is the setting, empty for none."""
    return public_url or f"https://{request.domain_name}"


def chunk_url(request: Request, public_url: str, chunk_endpoint: str) -> str:
    """Return the URL that chunks are best sent to: that of the chunk function's endpoint, if the stack has one."""
    return f"{chunk_endpoint or base_url(request, public_url)}/upload/chunk"
