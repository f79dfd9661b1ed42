"""The port for links: their rows, counters, activity, and attempts at their passwords (docs/decisions/0014)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ferry.rules.durations import HOUR_MS

if TYPE_CHECKING:
    from ferry.model.links import (
        Activity,
        AttemptCount,
        AttemptRule,
        DownloadClaim,
        DownloadCount,
        Link,
        LinkUsage,
        Reservation,
    )
    from ferry.ports.types import Page

RESERVATION_CHECK_MS = HOUR_MS
"""When cleanup looks at the reservations of a link, after the first of them."""

ALL_NETWORKS = "*"
"""In place of a network: the attempts from all of them."""


class LinkLimitReached(Exception):
    """The limits of a link leave no room for an upload. Nothing was written."""

    def __init__(self, usage: LinkUsage) -> None:
        super().__init__("the limits of the link leave no room")
        self.usage = usage
        """The counters as they are stored."""


@dataclass(frozen=True, slots=True)
class UsedUpEvent:
    """The event that a write makes pending if it is the first to leave nothing of the limits of a link."""

    occurred_at: int
    """The time of the write, in epoch milliseconds."""

    publish_deadline: int
    """When cleanup publishes the event, in epoch milliseconds."""


class LinkRepository(Protocol):
    """Links in the metadata store. Reads are strongly consistent, so that a new link works at once.

    Every method raises `BackendUnavailable` when the store fails.
    """

    # Links

    def create_link(self, link: Link, publish_deadline: int | None = None) -> None:
        """Store a new link, and list it in its namespace.

        The event of its creation is pending; cleanup publishes it at `publish_deadline`. None: events are disabled.
        """
        ...

    def get_link(self, link_id: str) -> Link | None: ...

    def list_links(self, ns: str, cursor: str | None, limit: int) -> Page[Link]:
        """Return a page of the namespace's links, the newest first.

        Raises:
            InvalidField: the cursor is not one of this listing.
        """
        ...

    def revoke_link(self, link: Link, now: int) -> None:
        """Record that the link was deleted. A link that was deleted before keeps its time."""
        ...

    # Counters

    def get_usages(self, link_ids: Sequence[str]) -> Mapping[str, LinkUsage]:
        """Return the counters of links, by link id; of a link without counters there are none."""
        ...

    def count_download(
        self, link: Link, claim: DownloadClaim | None, event: UsedUpEvent | None = None
    ) -> tuple[DownloadCount, LinkUsage]:
        """Count a download if the limit leaves room, and return the counters afterwards.

        Args:
            link: a download link with a limit.
            claim: the token and the file; None without a token. A claim is counted once.
            event: what becomes pending if nothing is left afterwards; None: there are no events.
        """
        ...

    def reserve_upload(
        self,
        link: Link,
        upload_id: str,
        size: int,
        now: int,
        *,
        is_partial: bool = False,
        partial_ids: Sequence[str] | None = None,
        event: UsedUpEvent | None = None,
    ) -> LinkUsage:
        """Reserve a file and its bytes in the limits, and return the counters afterwards. Idempotent.

        Cleanup looks at the reservation after `RESERVATION_CHECK_MS`.

        Args:
            link: an upload link.
            upload_id: the upload.
            size: its bytes. One byte must be left, also for an empty file.
            now: the time, in epoch milliseconds.
            is_partial: whether it is a partial upload, for which bytes are reserved, but no file.
            partial_ids: the partial uploads of a final upload. Their reservations end, and the final upload reserves
                only its further bytes. None for another upload.
            event: what becomes pending if nothing is left afterwards; None: there are no events.

        Raises:
            LinkLimitReached: the limits leave no room; nothing was reserved.
            ConcurrentUpdate: a partial upload ended meanwhile; nothing was reserved.
        """
        ...

    def grow_upload(
        self,
        link: Link,
        upload_id: str,
        *,
        from_size: int,
        size: int,
        now: int,
        event: UsedUpEvent | None = None,
    ) -> LinkUsage | None:
        """Reserve further bytes for an upload whose size was not known, and return the counters afterwards.

        Return None if nothing is reserved for it.

        Args:
            link: the link.
            upload_id: the upload.
            from_size: its size so far.
            size: its size afterwards. If as much is reserved already, nothing changes.
            now: the time, in epoch milliseconds.
            event: what becomes pending if nothing is left afterwards; None: there are no events.

        Raises:
            LinkLimitReached: the limits leave no room; nothing was reserved.
        """
        ...

    def release_upload(self, link_id: str, upload_id: str, *, received_bytes: int, has_started: bool = True) -> None:
        """Release the reservation of an upload that has ended without a file. Idempotent.

        Args:
            link_id: the link.
            upload_id: the upload.
            received_bytes: bytes that the upload had received, which stay counted.
            has_started: False if the upload was not created, and does not count as started.
        """
        ...

    def resize_reservation(self, link_id: str, upload_id: str, reservation: Reservation, size: int) -> None:
        """Reduce a reservation to the size of its upload, unless it changed since it was read."""
        ...

    def settle_upload(self, link_id: str, upload_id: str, *, size: int) -> None:
        """Turn the reservation of an upload into the file of `size` bytes that it became. Idempotent."""
        ...

    def unschedule_link(self, link_id: str, usage: LinkUsage, *, due_at: int) -> None:
        """Remove the link from the due tasks.

        Do nothing if an upload has started since `usage` was read, or an event is pending.
        """
        ...

    def clear_link_event(self, link_id: str, event: str, *, due_at: int | None = None) -> None:
        """Record that an event of the link is published. Idempotent.

        Args:
            link_id: the link.
            event: a member of `LinkUsage.pending_events`.
            due_at: when the link is due. If no other event is pending and no upload has ever started by the link, it is
                also removed from the due tasks. None: it stays.
        """
        ...

    # Activity

    def add_activity(self, link_id: str, activity: Activity) -> None:
        """Store an entry; the same entry is stored once."""
        ...

    def list_activity(self, link_id: str, cursor: str | None, limit: int) -> Page[Activity]:
        """Return a page of entries, the newest first.

        Raises:
            InvalidField: the cursor is not one of this listing.
        """
        ...

    # Passwords

    def reserve_attempt(self, link: Link, network: str, rule: AttemptRule, now: int) -> AttemptCount:
        """Count an attempt before its password is hashed, unless the network is locked.

        Args:
            link: a link with a password.
            network: where the attempt comes from, or `ALL_NETWORKS`.
            rule: how many attempts are accepted.
            now: the time, in epoch milliseconds.
        """
        ...

    def release_attempt(self, link: Link, network: str) -> None:
        """Remove an attempt whose password was right."""
        ...
