"""Requests by a link: the secret in the path, the network, tokens, and the headers of every response."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ferry.http.request import Request
from ferry.http.response import Response, json_response
from ferry.rules.networks import network_of

if TYPE_CHECKING:
    from ferry.auth.link_tokens import LinkToken
    from ferry.model.links import Link

HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Header fields of every response below `/l/`: its address is a secret."""


def secret(request: Request) -> str:
    """Return the secret in the path."""
    return request.path_parameters.get("secret", "")


def network(request: Request, client_address_header: str) -> str:
    """Return the network that a request comes from.

    Args:
        request: the request.
        client_address_header: the header in which a CDN sends the client's address, and perhaps its port; empty for
            the gateway's source address.
    """
    address = request.source_ip
    if client_address_header:
        # CloudFront-Viewer-Address is `address:port`, also for IPv6, without brackets.
        address = request.headers.get(client_address_header, "").rpartition(":")[0].strip("[]")
    return network_of(address)


def token_password(request: Request) -> str | None:
    """Return the password of a request for a token; None without one, and without a body.

    Raises what `ferry.http.request_bodies.BodyReader.read` raises.
    """
    request.reject_ambiguous_parameters()
    request.reject_unknown_parameters(frozenset())
    if not request.body:
        return None
    from ferry.http.request_bodies import LINK_TOKEN

    return LINK_TOKEN.read(request).password


def token_response(token: LinkToken) -> Response:
    """Return the response that carries a token of a link."""
    from ferry.http.responses.links import LinkTokenResponse

    response = json_response(200, LinkTokenResponse.from_token(token))
    return audited(response, token.link, scope=token.scope, token_id=token.token_id)


def audited(response: Response, link: Link, **fields: str) -> Response:
    """Return the response of a request by a link, with the link in its audit event."""
    return response.with_audit(actor="link", ns=link.ns, link_id=link.link_id, **fields)
