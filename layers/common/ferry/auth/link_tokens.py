"""Tokens of links: JWTs of a type and an audience of their own (docs/decisions/0014).

They have no namespace and no scope of a client, so a verifier that knows nothing of links rejects them, or grants
nothing (RFC 8725 sections 3.9, 3.11 and 3.12).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from jwt.utils import base64url_decode

from ferry.model.links import Link

LINK_TOKEN_TYPE = "ferry-link+jwt"  # noqa: S105 - a media type
"""The `typ` of the tokens' header."""

LINK_AUDIENCE = "ferry-links"
"""The `aud` of the tokens."""

SCOPE_PREFIX = "link:"
"""The `scope` of a token is this and the kind of its link."""

MAX_TTL_SECONDS = 15 * 60
"""Lifetime of a token at most."""

_MAX_HEADER_LENGTH = 1_024
"""Characters of a header that is decoded to read its type."""


@dataclass(frozen=True, slots=True)
class LinkToken:
    """A token of a link, as it was issued."""

    access_token: str
    """The signed JWT."""
    expires_in: int
    """Lifetime in seconds."""
    scope: str
    """What it is for, as its `scope` claim has it."""
    token_id: str
    """Its `jti` claim, for the audit event."""
    link: Link
    """The link."""


@dataclass(frozen=True, slots=True)
class VerifiedLinkToken:
    """What a token of a link says. The link itself may have ended."""

    link_id: str
    """Its `sub` claim."""
    token_id: str
    """Its `jti` claim."""
    expires_at: int
    """Its `exp` claim, in epoch milliseconds."""


def is_link_token(token: str) -> bool:
    """Return whether the header of a token, which nothing has verified, has the type of links' tokens."""
    header = token.partition(".")[0]
    if len(header) > _MAX_HEADER_LENGTH:
        return False
    try:
        members = json.loads(base64url_decode(header))
    except (ValueError, RecursionError):
        return False
    return isinstance(members, dict) and members.get("typ") == LINK_TOKEN_TYPE
