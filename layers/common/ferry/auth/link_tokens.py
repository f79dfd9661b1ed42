"""Tokens of links: JWTs of a type and an audience of their own (docs/decisions/0014).

They have no namespace and no scope of a client, so a verifier without support for links rejects them, or grants
nothing (RFC 8725 sections 3.9, 3.11 and 3.12).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferry.model.links import Link

LINK_AUDIENCE = "ferry-links"
"""The `aud` of the tokens."""

SCOPE_PREFIX = "link:"
"""The `scope` of a token is this and the kind of its link."""

MAX_TTL_SECONDS = 15 * 60
"""Lifetime of a token at most."""


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
