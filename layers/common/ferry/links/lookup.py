"""Find links, and check that they work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ferry.link_errors import LinkExpired, LinkNotFound, LinkRevoked
from ferry.links.secrets import LINK_ID_PATTERN, SECRET_PATTERN, has_secret, hash_of, link_id_of
from ferry.model.links import Link, LinkKind, LinkState, LinkUsage
from ferry.ports.link_repository import LinkRepository
from ferry.ports.types import Clock

MAX_CACHED_LINKS = 256
"""Links that one instance of a function keeps."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """A link, with its state and its counters."""

    link: Link
    """The link."""

    usage: LinkUsage
    """Its counters."""

    state: LinkState
    """Whether it works, without regard to its limits."""


@dataclass(slots=True)
class Links:
    """The links as one instance of a function reads them. `ferry.wiring` builds it."""

    repository: LinkRepository
    """Their rows."""

    is_client_disabled: Callable[[str], bool]
    """Returns whether one of Ferry's own clients is disabled."""

    clock: Clock
    """The wall clock."""

    cache_ttl_ms: int
    """How long a link is used without reading it again. A deleted link ends within this time."""

    _cache: dict[str, tuple[Link, int]] = field(default_factory=dict)

    def get_by_secret(self, secret: str) -> Link:
        """Return the link of a secret if it works.

        Raises:
            LinkNotFound: there is none.
            LinkExpired, LinkRevoked: it has ended.
        """
        if not SECRET_PATTERN.fullmatch(secret):
            raise LinkNotFound
        secret_hash = hash_of(secret)
        link = self._get_cached(link_id_of(secret_hash))
        if link is None or not has_secret(link, secret_hash):
            raise LinkNotFound
        self._require_active(link)
        return link

    def get_active(self, link_id: str) -> Link:
        """Return the link of a token if it works. Raises what `get_by_secret` raises."""
        link = self._get_cached(link_id)
        if link is None:
            raise LinkNotFound
        self._require_active(link)
        return link

    def get_of_namespace(self, ns: str, link_id: str) -> Link:
        """Return a link for its owner, whatever its state. It is always read. Raises `LinkNotFound`."""
        link = self.repository.get_link(link_id) if LINK_ID_PATTERN.fullmatch(link_id) else None
        if link is None or link.ns != ns:
            raise LinkNotFound
        return link

    def get_usage(self, link: Link) -> LinkUsage:
        """Return the counters of a link; those of one that counts nothing are not read."""
        if link.kind is LinkKind.DOWNLOAD and link.max_downloads is None:
            return LinkUsage()
        return self.repository.get_usages([link.link_id]).get(link.link_id, LinkUsage())

    def state_of(self, link: Link) -> LinkState:
        """Return the state of a link. While its client is disabled, it is revoked."""
        state = link.state(self.clock())
        if state is LinkState.ACTIVE and not link.issuer and self.is_client_disabled(link.created_by):
            return LinkState.REVOKED
        return state

    def forget(self, link_id: str) -> None:
        """Drop the cached link, so that the next request reads it."""
        self._cache.pop(link_id, None)

    def _require_active(self, link: Link) -> None:
        state = self.state_of(link)
        if state is LinkState.REVOKED:
            raise LinkRevoked
        if state is LinkState.EXPIRED:
            raise LinkExpired

    def _get_cached(self, link_id: str) -> Link | None:
        now = self.clock()
        link, read_at = self._cache.get(link_id, (None, now))
        if link is not None and 0 <= now - read_at < self.cache_ttl_ms:
            return link
        link = self.repository.get_link(link_id)
        self._cache.pop(link_id, None)
        if link is not None:
            if len(self._cache) >= MAX_CACHED_LINKS:
                self._cache.pop(next(iter(self._cache)))
            self._cache[link_id] = link, now
        return link
