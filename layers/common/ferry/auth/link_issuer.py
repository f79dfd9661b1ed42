"""Issue tokens of links. The auth function alone can sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry.auth.issuer import Issuer, sign, signing_key
from ferry.auth.key_cache import load_or_publish
from ferry.auth.link_tokens import LINK_AUDIENCE, MAX_TTL_SECONDS, SCOPE_PREFIX, LinkToken
from ferry.auth.verifier import LINK_JWT_TYPE
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from ferry.model.links import Link


def issue_link_token(issuer: Issuer, link: Link) -> LinkToken:
    """Return a token of a link that works. Ferry issues it even if an external issuer issues the tokens of clients.

    Raises:
        BackendUnavailable: the published keys could not be read, or the signer failed.
    """
    # Not `public_key_set`, which has no keys where an external issuer alone issues the tokens of clients.
    key_set = load_or_publish(issuer.key_set_cache, issuer.store, issuer.signer, issuer.key_ref)
    now, token_id, scope = issuer.clock() // SECOND_MS, issuer.new_id(), f"{SCOPE_PREFIX}{link.kind}"
    expires_at = min(now + MAX_TTL_SECONDS, max(link.expires_at // SECOND_MS, now + 1))
    claims = {
        "iss": issuer.issuer,
        "aud": LINK_AUDIENCE,
        "sub": link.link_id,
        "iat": now,
        "nbf": now,
        "exp": expires_at,
        "jti": token_id,
        "scope": scope,
    }
    signed = sign(issuer.signer, signing_key(key_set), claims, typ=LINK_JWT_TYPE)
    return LinkToken(signed, expires_at - now, scope, token_id, link)
