"""`LinkRepository` over the metadata table (docs/decisions/0014)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from ferry.aws import cursors
from ferry.aws import link_reservations as reservations
from ferry.aws import link_rows as rows
from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Key, Row, Write, put, update
from ferry.aws.link_reservations import Mark
from ferry.aws.metadata_rows import UNSCHEDULED
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
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.link_repository import LinkLimitReached, UsedUpEvent
from ferry.ports.retry import retry_on_conflict
from ferry.ports.types import Page
from ferry.rules.durations import SECOND_MS


class DynamoLinkRepository:
    """Links, counters, activity and attempts.

    Each write is one conditional update of one row, except the creation of a link, which is a transaction.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    # Links

    def create_link(self, link: Link, publish_deadline: int | None = None) -> None:
        pending = [] if publish_deadline is None else [put(rows.created_to_row(link, publish_deadline))]
        creation = put(rows.link_to_row(link), "attribute_not_exists(#pk)")
        self._table.transact_write([creation, put(rows.listed_to_row(link)), *pending])

    def get_link(self, link_id: str) -> Link | None:
        row = self._table.get(rows.link_key(link_id))
        return rows.link_from_row(row) if row else None

    def list_links(self, ns: str, cursor: str | None, limit: int) -> Page[Link]:
        found, next_cursor = self._query_page(rows.namespace_pk(ns), ("links", ns), cursor, limit)
        link_ids = [rows.link_id_from_listed_key(row["sk"]) for row in found]
        by_id = {
            link.link_id: link for link in map(rows.link_from_row, self._table.batch_get(map(rows.link_key, link_ids)))
        }
        return Page([by_id[link_id] for link_id in link_ids if link_id in by_id], next_cursor)

    def revoke_link(self, link: Link, now: int) -> None:
        with suppress(ConditionFailed):
            self._table.write(
                update(
                    rows.link_key(link.link_id),
                    {"revoked_at": now},
                    condition="attribute_exists(#pk) AND attribute_not_exists(#revoked_at)",
                )
            )

    # Counters

    def get_usages(self, link_ids: Sequence[str]) -> Mapping[str, LinkUsage]:
        found = self._table.batch_get(map(rows.usage_key, link_ids))
        return {rows.link_id_of_usage(row): rows.usage_from_row(row) for row in found}

    def count_download(
        self, link: Link, claim: DownloadClaim | None, event: UsedUpEvent | None = None
    ) -> tuple[DownloadCount, LinkUsage]:
        try:
            row = self._take(
                lambda mark: _count_download(link, claim, mark),
                event,
                lambda row: claim is not None and _has_claim(row, claim),
            )
        except ConditionFailed as failed:
            stored = failed.row or {}
            is_same = claim is not None and _has_claim(stored, claim)
            return DownloadCount.SAME if is_same else DownloadCount.USED_UP, rows.usage_from_row(stored)
        return DownloadCount.COUNTED, rows.usage_from_row(row)

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
        reservation = Reservation(size, now, is_partial)
        known = LinkUsage() if partial_ids is None else self._usage(link.link_id)

        def write(mark: Mark | None) -> Write:
            if partial_ids is None:
                return reservations.reserve(link, upload_id, reservation, mark)
            return reservations.reserve_final(link, upload_id, reservation, known, partial_ids=partial_ids, mark=mark)

        try:
            attribute = rows.reservation_attribute(upload_id)
            return rows.usage_from_row(self._take(write, event, lambda row: attribute in row))
        except ConditionFailed as failed:
            usage = rows.usage_from_row(failed.row or {})
            if upload_id in usage.reservations:
                return usage
            if partial_ids is not None and reservations.has_room_for_final(link, size, usage, partial_ids):
                raise ConcurrentUpdate from failed
            raise LinkLimitReached(usage) from failed

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
        known = Reservation(from_size, now)
        return retry_on_conflict(lambda: self._try_grow(link, upload_id, known, replace(known, size=size), event))

    def release_upload(self, link_id: str, upload_id: str, *, received_bytes: int, has_started: bool = True) -> None:
        not_started = {} if has_started else {"started": -1}
        retry_on_conflict(
            lambda: self._try_end(
                link_id,
                upload_id,
                lambda reserved: {
                    "files": 0 if reserved.is_partial else -1,
                    "bytes": -reserved.size,
                    "received_bytes": received_bytes - reserved.size,
                    **not_started,
                },
            )
        )

    def resize_reservation(self, link_id: str, upload_id: str, reservation: Reservation, size: int) -> None:
        with suppress(ConditionFailed):
            self._table.write(reservations.resize(link_id, upload_id, reservation, size))

    def settle_upload(self, link_id: str, upload_id: str, *, size: int) -> None:
        retry_on_conflict(
            lambda: self._try_end(
                link_id,
                upload_id,
                lambda reserved: {"bytes": size - reserved.size, "received_bytes": size - reserved.size},
            )
        )

    def unschedule_link(self, link_id: str, usage: LinkUsage, *, due_at: int) -> None:
        with suppress(ConditionFailed):
            self._table.write(
                update(
                    rows.usage_key(link_id),
                    dict(UNSCHEDULED),
                    condition="#due_at = :due_at AND attribute_not_exists(#pending_events) AND "
                    "(#started = :started OR attribute_not_exists(#started) AND :started = :zero)",
                    values={"due_at": due_at, "started": usage.started, "zero": 0},
                )
            )

    def clear_link_event(self, link_id: str, event: str, *, due_at: int | None = None) -> None:
        key, cleared = rows.usage_key(link_id), {"pending_events": {event}}
        if due_at is not None:
            with suppress(ConditionFailed):
                condition = "#due_at = :due_at AND attribute_not_exists(#started) AND #pending_events = :only"
                values = {"due_at": due_at, "only": {event}}
                unscheduled = update(key, dict(UNSCHEDULED), set_deletes=cleared, condition=condition, values=values)
                self._table.write(unscheduled)
                return
        with suppress(ConditionFailed):
            self._table.write(update(key, set_deletes=cleared, condition="attribute_exists(#pk)"))

    def _take(
        self, write: Callable[[Mark | None], Write], event: UsedUpEvent | None, is_taken: Callable[[Row], bool]
    ) -> Row:
        """Make a write that adds to the counters. If nothing is left afterwards, the event becomes pending with it.

        The first attempt has the condition that something is left afterwards. If it fails, the second attempt has the
        condition that nothing is left, and marks the event.

        Args:
            write: returns the write with a mark, or without one.
            event: the event; None: there are no events.
            is_taken: whether a row already has what the write adds, so that the second attempt would fail, too.

        Raises:
            ConditionFailed: nothing is left, or another condition of the write failed.
        """
        if event is None:
            return self._table.write(write(None))
        try:
            return self._table.write(write(Mark(event, takes_last=False)))
        except ConditionFailed as failed:
            row = failed.row or {}
            if row.get("used_up_at") is not None or is_taken(row):
                raise
        try:
            return self._table.write(write(Mark(event, takes_last=True)))
        except ConditionFailed as failed:
            if (failed.row or {}).get("used_up_at") is None:
                raise
            # Another request has made the event pending.
            return self._table.write(write(None))

    def _try_grow(
        self, link: Link, upload_id: str, known: Reservation, grown: Reservation, event: UsedUpEvent | None
    ) -> LinkUsage | None:
        """Grow a reservation once. Raises `ConcurrentUpdate` if it keeps changing."""
        attribute = rows.reservation_attribute(upload_id)

        def is_grown(row: Row) -> bool:
            return attribute not in row or row[attribute][0] >= grown.size

        for _ in range(2):
            try:
                row = self._take(partial(reservations.grow, link, upload_id, known, grown), event, is_grown)
                return rows.usage_from_row(row)
            except ConditionFailed as failed:
                usage = rows.usage_from_row(failed.row or {})
                stored = usage.reservations.get(upload_id)
                if stored is None or stored.size >= grown.size:
                    return None if stored is None else usage
                if (stored.size, stored.is_partial) == (known.size, known.is_partial):
                    raise LinkLimitReached(usage) from failed
                known = stored
        raise ConcurrentUpdate

    def _try_end(self, link_id: str, upload_id: str, adds: Callable[[Reservation], Mapping[str, int]]) -> None:
        """Remove a reservation once. Raises `ConcurrentUpdate` if it changed meanwhile."""
        reserved = self._usage(link_id).reservations.get(upload_id)
        if reserved is not None:
            self._table.conditional_write(reservations.end(link_id, upload_id, reserved, adds(reserved)))

    def _usage(self, link_id: str) -> LinkUsage:
        return rows.usage_from_row(self._table.get(rows.usage_key(link_id)) or {})

    # Activity

    def add_activity(self, link_id: str, activity: Activity) -> None:
        self._table.write(put(rows.activity_to_row(link_id, activity)))

    def list_activity(self, link_id: str, cursor: str | None, limit: int) -> Page[Activity]:
        found, next_cursor = self._query_page(rows.activity_pk(link_id), ("link_activity", link_id), cursor, limit)
        return Page([rows.activity_from_row(row) for row in found], next_cursor)

    # Passwords

    def reserve_attempt(self, link: Link, network: str, rule: AttemptRule, now: int) -> AttemptCount:
        return retry_on_conflict(lambda: self._try_reserve_attempt(link, network, rule, now))

    def release_attempt(self, link: Link, network: str) -> None:
        with suppress(ConditionFailed):
            self._table.write(
                update(
                    rows.attempts_key(link.link_id, network),
                    adds={"attempts": -1},
                    condition="#attempts > :none",
                    values={"none": 0},
                )
            )

    def _try_reserve_attempt(self, link: Link, network: str, rule: AttemptRule, now: int) -> AttemptCount:
        """Reserve once. Raises `ConcurrentUpdate` if another attempt began the window first."""
        key, ends_at = rows.attempts_key(link.link_id, network), now + rule.window_ms
        window = {"window_ends_at": ends_at, "ttl": ends_at // SECOND_MS}
        try:
            row = self._table.write(_continue_window(key, window if rule.is_sliding else {}, rule, now))
        except ConditionFailed as failed:
            if failed.row is not None and failed.row["window_ends_at"] > now:
                return AttemptCount(0, failed.row["window_ends_at"])
            return self._begin_window(key, window, now)
        return AttemptCount(row["attempts"])

    def _begin_window(self, key: Key, window: Mapping[str, int], now: int) -> AttemptCount:
        begin = update(
            key,
            {"attempts": 1, **window},
            condition="attribute_not_exists(#window_ends_at) OR #window_ends_at <= :now",
            values={"now": now},
        )
        self._table.conditional_write(begin)
        return AttemptCount(1)

    def _query_page(
        self, pk: str, listing: tuple[str, str], cursor: str | None, limit: int
    ) -> tuple[list[Row], str | None]:
        """Return the rows of a page, and the cursor of the next one."""
        start_key: Row | None = None
        if cursor is not None:
            (position,) = cursors.decode(cursor, listing, "s")
            if not position:
                raise cursors.invalid_cursor()
            start_key = {"pk": pk, "sk": position}
        found, next_key = self._table.query("#pk = :pk", {"pk": pk}, limit=limit, start_key=start_key)
        return found, cursors.encode(listing, [next_key["sk"]]) if next_key else None


def _count_download(link: Link, claim: DownloadClaim | None, mark: Mark | None) -> Write:
    adds: dict[str, Any] = {"downloads": 1}
    dropped: dict[str, None] = {}
    condition = "(attribute_not_exists(#downloads) OR #downloads < :max_downloads)"
    values: dict[str, Any] = {"max_downloads": link.max_downloads}
    if claim is not None:
        window = rows.claim_window(claim)
        attribute = rows.claim_attribute(window)
        adds[attribute] = {rows.claim_number(claim)}
        condition += f" AND NOT contains(#{attribute}, :claim)"
        values["claim"] = rows.claim_number(claim)
        first_dropped = window - rows.KEPT_CLAIM_WINDOWS
        dropped = {rows.claim_attribute(first_dropped - n): None for n in range(rows.DROPPED_CLAIM_WINDOWS)}
    changes = {"ttl": link.ttl_epoch_seconds, **dropped}
    marked = reservations.with_mark(link, mark, {"downloads": (link.max_downloads or 0) - 1})
    return update(
        rows.usage_key(link.link_id),
        {**changes, **marked.sets},
        adds={**adds, **marked.adds},
        condition=condition + marked.condition,
        values={**values, **marked.values},
    )


def _has_claim(row: Row, claim: DownloadClaim) -> bool:
    return rows.claim_number(claim) in row.get(rows.claim_attribute(rows.claim_window(claim)), ())


def _continue_window(key: Key, changes: Mapping[str, int], rule: AttemptRule, now: int) -> Write:
    return update(
        key,
        changes,
        adds={"attempts": 1},
        condition="#window_ends_at > :now AND #attempts < :max_attempts",
        values={"now": now, "max_attempts": rule.max_attempts},
    )
