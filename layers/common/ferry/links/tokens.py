"""Issue a token of a link to a request with its secret, and with its password if it has one."""

from __future__ import annotations

import secrets
from contextlib import suppress

from ferry.auth.issuer import Issuer
from ferry.auth.link_issuer import issue_link_token
from ferry.auth.link_tokens import LinkToken
from ferry.errors import BackendUnavailable
from ferry.link_errors import LinkLocked, LinkPassword, LinkUsedUp
from ferry.links.lookup import Links
from ferry.links.passwords import is_password
from ferry.model.links import Activity, ActivityAction, AttemptRule, Link, PasswordHash
from ferry.ports.link_repository import ALL_NETWORKS
from ferry.rules.durations import DAY_MS, MINUTE_MS, SECOND_MS

NETWORK_RULE = AttemptRule(max_attempts=10, window_ms=15 * MINUTE_MS, is_sliding=True)
"""How many wrong passwords lock their network, and for how long: as long as the window, from the last one on."""

TOTAL_RULE = AttemptRule(max_attempts=200, window_ms=DAY_MS, is_sliding=False)
"""How many wrong passwords from all networks together lock the link for all of them: until the window ends."""

WRONG_DETAIL = "The password of the link is wrong. Ask its owner for it."


def get_token(links: Links, issuer: Issuer, secret: str, password: str | None, network: str) -> LinkToken:
    """Return a token of the link.

    Args:
        links: the links.
        issuer: what issuing tokens needs.
        secret: the secret of the link.
        password: what the request has sent; None for nothing, which is no attempt.
        network: the network that the request comes from.

    Raises:
        LinkNotFound, LinkExpired, LinkRevoked: there is no link that works.
        LinkUsedUp: its limits are used up, and no upload that it counted is in progress.
        LinkPassword: the password is missing or wrong.
        LinkLocked: there were too many wrong ones.
    """
    link = links.get_by_secret(secret)
    usage = links.get_usage(link)
    if usage.is_used_up(link) and not usage.reservations:
        raise LinkUsedUp
    if link.password is not None:
        _check_password(links, link, link.password, password, network)
    return issue_link_token(issuer, link)


def _check_password(links: Links, link: Link, stored: PasswordHash, password: str | None, network: str) -> None:
    """Reserve an attempt, then compare the password. An attempt with the right one is taken back."""
    fields = {"actor": "link", "ns": link.ns, "link_id": link.link_id, "network": network}
    if password is None:
        raise LinkPassword(audit_fields=fields)
    began_lock = _reserve_attempt(links, link, network, fields)
    if not is_password(stored, password):
        _record(links, link, ActivityAction.WRONG_PASSWORD, network)
        if began_lock:
            _record(links, link, ActivityAction.LOCKED, network)
        raise LinkPassword(WRONG_DETAIL, fields)
    # If that fails, the attempt stays counted for a while: the right password still opens the link.
    with suppress(BackendUnavailable):
        links.repository.release_attempt(link, network)
        links.repository.release_attempt(link, ALL_NETWORKS)


def _reserve_attempt(links: Links, link: Link, network: str, fields: dict[str, str]) -> bool:
    """Count the attempt, and return whether a lock begins if it is wrong. Raises `LinkLocked`."""
    repository, now = links.repository, links.clock()
    from_network = repository.reserve_attempt(link, network, NETWORK_RULE, now)
    if from_network.locked_until is not None:
        raise LinkLocked(_seconds_until(from_network.locked_until, now), fields)
    total = repository.reserve_attempt(link, ALL_NETWORKS, TOTAL_RULE, now)
    if total.locked_until is not None:
        with suppress(BackendUnavailable):
            repository.release_attempt(link, network)
        raise LinkLocked(_seconds_until(total.locked_until, now), fields)
    return from_network.attempts >= NETWORK_RULE.max_attempts or total.attempts >= TOTAL_RULE.max_attempts


def _seconds_until(time: int, now: int) -> int:
    return max(1, -(-(time - now) // SECOND_MS))


def _record(links: Links, link: Link, action: ActivityAction, network: str) -> None:
    # A lock follows the wrong password that began it.
    at = links.clock() + (action is ActivityAction.LOCKED)
    links.repository.add_activity(link.link_id, Activity(at, action, network, secrets.token_hex(8)))
