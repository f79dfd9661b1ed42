"""`LinkRepository` in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from dev.fakes.metadata_rows import Rows
from dev.fakes.metadata_table import MemoryTable
from ferry.aws import cursors
from ferry.model.cleanup import CleanupTaskKind
from ferry.model.links import (
    CREATED_EVENT,
    MAX_OPEN_PARTIALS,
    MAX_RECEIVED_FACTOR,
    MAX_STARTED_FACTOR,
    USED_UP_EVENT,
    Activity,
    AttemptCount,
    AttemptRule,
    DownloadClaim,
    DownloadCount,
    Link,
    LinkUsage,
    Reservation,
)
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.link_repository import RESERVATION_CHECK_MS, LinkLimitReached, UsedUpEvent
from ferry.ports.types import Page

_MAX_EPOCH_MS = 10**13 - 1

T = TypeVar("T")


class MemoryLinkRepository:
    """A `LinkRepository` over a `MemoryTable`, which it shares with the other repositories."""

    def __init__(self, table: MemoryTable) -> None:
        self.table = table
        self._lock = table.lock

    @property
    def rows(self) -> Rows:
        return self.table.rows

    # Links

    def create_link(self, link: Link, publish_deadline: int | None = None) -> None:
        with self._lock:
            if link.link_id in self.rows.links:
                raise ConcurrentUpdate
            self.rows.links[link.link_id] = link
            if publish_deadline is not None:
                self.rows.task_due_times[CleanupTaskKind.LINK, link.link_id] = publish_deadline
                self._save(link.link_id, LinkUsage(pending_events=frozenset({CREATED_EVENT})))

    def get_link(self, link_id: str) -> Link | None:
        with self._lock:
            return self.rows.links.get(link_id)

    def list_links(self, ns: str, cursor: str | None, limit: int) -> Page[Link]:
        with self._lock:
            found = {
                _position(link.created_at, link.link_id): link for link in self.rows.links.values() if link.ns == ns
            }
        return _page(found, ("links", ns), cursor, limit)

    def revoke_link(self, link: Link, now: int) -> None:
        with self._lock:
            stored = self.rows.links.get(link.link_id)
            if stored is not None and stored.revoked_at is None:
                self.rows.links[link.link_id] = replace(stored, revoked_at=now)

    # Counters

    def get_usages(self, link_ids: Sequence[str]) -> Mapping[str, LinkUsage]:
        with self._lock:
            return {each: self.rows.link_usages[each] for each in link_ids if each in self.rows.link_usages}

    def count_download(
        self, link: Link, claim: DownloadClaim | None, event: UsedUpEvent | None = None
    ) -> tuple[DownloadCount, LinkUsage]:
        with self._lock:
            usage = self._usage(link.link_id)
            claims = self.rows.link_claims.setdefault(link.link_id, set())
            if claim in claims:
                return DownloadCount.SAME, usage
            if usage.is_used_up(link):
                return DownloadCount.USED_UP, usage
            if claim is not None:
                claims.add(claim)
            counted = replace(usage, downloads=usage.downloads + 1)
            return DownloadCount.COUNTED, self._save(link.link_id, self._mark(link, counted, event))

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
        with self._lock:
            usage = self._usage(link.link_id)
            if upload_id in usage.reservations:
                return usage
            stored = usage.reservations
            moved = {each: stored[each] for each in partial_ids or () if each in stored and stored[each].is_partial}
            added = size - sum(each.size for each in moved.values())
            _check_limits(link, usage, added if partial_ids is not None else max(size, 1))
            if usage.files + 1 > (link.max_files or 0) or (is_partial and usage.partials >= MAX_OPEN_PARTIALS):
                raise LinkLimitReached(usage)
            self.rows.task_due_times.setdefault((CleanupTaskKind.LINK, link.link_id), now + RESERVATION_CHECK_MS)
            left = {each: value for each, value in stored.items() if each not in moved}
            reserved = replace(
                usage,
                files=usage.files + (not is_partial),
                bytes=usage.bytes + added,
                received_bytes=usage.received_bytes + added,
                started=usage.started + 1,
                partials=usage.partials + is_partial - len(moved),
                ended_partials=usage.ended_partials + len(moved),
                reservations={**left, upload_id: Reservation(size, now, is_partial)},
            )
            return self._save(link.link_id, self._mark(link, reserved, event))

    def grow_upload(
        self,
        link: Link,
        upload_id: str,
        *,
        from_size: int,  # noqa: ARG002 - the size is stored here
        size: int,
        now: int,
        event: UsedUpEvent | None = None,
    ) -> LinkUsage | None:
        with self._lock:
            usage = self._usage(link.link_id)
            reserved = usage.reservations.get(upload_id)
            if reserved is None or reserved.size >= size:
                return None if reserved is None else usage
            _check_limits(link, replace(usage, started=0), size - reserved.size)
            self._resize(link.link_id, upload_id, replace(reserved, size=size, reserved_at=now))
            return self._save(link.link_id, self._mark(link, self._usage(link.link_id), event))

    def release_upload(self, link_id: str, upload_id: str, *, received_bytes: int, has_started: bool = True) -> None:
        with self._lock:
            usage = self._usage(link_id)
            reserved = usage.reservations.get(upload_id)
            if reserved is not None:
                released = replace(
                    usage,
                    files=usage.files - (not reserved.is_partial),
                    bytes=usage.bytes - reserved.size,
                    started=usage.started - (not has_started),
                    received_bytes=usage.received_bytes + received_bytes - reserved.size,
                )
                self._end(link_id, upload_id, released)

    def resize_reservation(self, link_id: str, upload_id: str, reservation: Reservation, size: int) -> None:
        with self._lock:
            if self._usage(link_id).reservations.get(upload_id) == reservation:
                self._resize(link_id, upload_id, replace(reservation, size=size))

    def settle_upload(self, link_id: str, upload_id: str, *, size: int) -> None:
        with self._lock:
            usage = self._usage(link_id)
            if upload_id in usage.reservations:
                added = size - usage.reservations[upload_id].size
                settled = replace(usage, bytes=usage.bytes + added, received_bytes=usage.received_bytes + added)
                self._end(link_id, upload_id, settled)

    def unschedule_link(self, link_id: str, usage: LinkUsage, *, due_at: int) -> None:
        task = CleanupTaskKind.LINK, link_id
        with self._lock:
            stored = self._usage(link_id)
            is_idle = stored.started == usage.started and not stored.pending_events
            if is_idle and self.rows.task_due_times.get(task) == due_at:
                del self.rows.task_due_times[task]

    def clear_link_event(self, link_id: str, event: str, *, due_at: int | None = None) -> None:
        task = CleanupTaskKind.LINK, link_id
        with self._lock:
            usage = self._usage(link_id)
            is_last = usage.pending_events == {event} and not usage.started
            if due_at is not None and is_last and self.rows.task_due_times.get(task) == due_at:
                del self.rows.task_due_times[task]
            self._save(link_id, replace(usage, pending_events=usage.pending_events - {event}))

    def _mark(self, link: Link, usage: LinkUsage, event: UsedUpEvent | None) -> LinkUsage:
        """Return the counters with the event pending, if nothing is left for the first time."""
        if event is None or usage.used_up_at is not None or not usage.is_used_up(link):
            return usage
        self.rows.task_due_times[CleanupTaskKind.LINK, link.link_id] = event.publish_deadline
        pending = usage.pending_events | {USED_UP_EVENT}
        return replace(usage, used_up_at=event.occurred_at, pending_events=pending)

    def _resize(self, link_id: str, upload_id: str, changed: Reservation) -> None:
        usage = self._usage(link_id)
        added = changed.size - usage.reservations[upload_id].size
        resized = replace(
            usage,
            bytes=usage.bytes + added,
            received_bytes=usage.received_bytes + added,
            reservations={**usage.reservations, upload_id: changed},
        )
        self._save(link_id, resized)

    def _end(self, link_id: str, upload_id: str, usage: LinkUsage) -> None:
        """Save the counters without a reservation."""
        is_partial = usage.reservations[upload_id].is_partial
        ended = replace(
            usage,
            partials=usage.partials - is_partial,
            ended_partials=usage.ended_partials + is_partial,
            reservations={each: value for each, value in usage.reservations.items() if each != upload_id},
        )
        self._save(link_id, ended)

    def _usage(self, link_id: str) -> LinkUsage:
        return self.rows.link_usages.get(link_id, LinkUsage())

    def _save(self, link_id: str, usage: LinkUsage) -> LinkUsage:
        self.rows.link_usages[link_id] = usage
        return usage

    # Activity

    def add_activity(self, link_id: str, activity: Activity) -> None:
        with self._lock:
            self.rows.link_activities.setdefault(link_id, {})[activity.at, activity.unique_id] = activity

    def list_activity(self, link_id: str, cursor: str | None, limit: int) -> Page[Activity]:
        with self._lock:
            entries = self.rows.link_activities.get(link_id, {}).values()
            found = {_position(entry.at, entry.unique_id): entry for entry in entries}
        return _page(found, ("link_activity", link_id), cursor, limit)

    # Passwords

    def reserve_attempt(self, link: Link, network: str, rule: AttemptRule, now: int) -> AttemptCount:
        key = link.link_id, network
        with self._lock:
            attempts, window_ends_at = self.rows.link_attempts.get(key, (0, now))
            if window_ends_at <= now:
                self.rows.link_attempts[key] = 1, now + rule.window_ms
                return AttemptCount(1)
            if attempts >= rule.max_attempts:
                return AttemptCount(0, window_ends_at)
            self.rows.link_attempts[key] = attempts + 1, now + rule.window_ms if rule.is_sliding else window_ends_at
            return AttemptCount(attempts + 1)

    def release_attempt(self, link: Link, network: str) -> None:
        key = link.link_id, network
        with self._lock:
            attempts, window_ends_at = self.rows.link_attempts.get(key, (0, 0))
            if attempts:
                self.rows.link_attempts[key] = attempts - 1, window_ends_at


def _check_limits(link: Link, usage: LinkUsage, size: int) -> None:
    """Raise `LinkLimitReached` unless an upload may begin, and takes `size` bytes."""
    max_bytes = link.max_bytes or 0
    if (
        usage.started + 1 > MAX_STARTED_FACTOR * (link.max_files or 0)
        or usage.bytes + size > max_bytes
        or usage.received_bytes + size > MAX_RECEIVED_FACTOR * max_bytes
    ):
        raise LinkLimitReached(usage)


def _position(at: int, unique_id: str) -> str:
    return f"{_MAX_EPOCH_MS - at:013}#{unique_id}"


def _page(found: Mapping[str, T], listing: tuple[str, str], cursor: str | None, limit: int) -> Page[T]:
    after = ""
    if cursor is not None:
        (value,) = cursors.decode(cursor, listing, "s")
        after = str(value)
        if not after:
            raise cursors.invalid_cursor()
    positions = sorted(position for position in found if position > after)
    page = positions[:limit]
    next_cursor = cursors.encode(listing, [page[-1]]) if len(positions) > limit else None
    return Page([found[position] for position in page], next_cursor)
