"""Reservations of uploads in the limits of a link: updates of the counters' row (docs/decisions/0014, Counters)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ferry.aws import link_rows as rows
from ferry.aws.expressions import Write, update
from ferry.aws.metadata_rows import due_shard_for
from ferry.model.links import (
    MAX_OPEN_PARTIALS,
    MAX_RECEIVED_FACTOR,
    MAX_STARTED_FACTOR,
    USED_UP_EVENT,
    Link,
    LinkUsage,
    Reservation,
)
from ferry.ports.link_repository import RESERVATION_CHECK_MS, UsedUpEvent


@dataclass(frozen=True, slots=True)
class Mark:
    """An event that becomes pending with a write if the write leaves nothing of the limits."""

    event: UsedUpEvent
    """The event."""

    takes_last: bool
    """Whether the write must leave nothing of the limits. Otherwise it must leave something, unless the event is marked
    already."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What a mark adds to a write."""

    condition: str = ""
    """Follows the condition of the write."""

    sets: Mapping[str, Any] = field(default_factory=dict)
    """Attributes to set."""

    adds: Mapping[str, Any] = field(default_factory=dict)
    """Members to add to sets."""

    values: Mapping[str, Any] = field(default_factory=dict)
    """Values of the placeholders in the condition."""


def with_mark(link: Link, mark: Mark | None, last: Mapping[str, int]) -> Marked:
    """Return what a mark adds to a write.

    Args:
        link: the link.
        mark: the mark; None adds nothing.
        last: by counter, the value from which on the write leaves nothing of its limit.
    """
    if mark is None:
        return Marked()
    values = {"zero": 0, **{f"last_{name}": value for name, value in last.items()}}
    clauses = [f"attribute_not_exists(#{name}) AND :zero < :last_{name} OR #{name} < :last_{name}" for name in last]
    # DynamoDB rejects parentheses around parentheses.
    leaves = clauses[0] if len(clauses) == 1 else " AND ".join(f"({clause})" for clause in clauses)
    if not mark.takes_last:
        return Marked(f" AND (attribute_exists(#used_up_at) OR {leaves})", values=values)
    event = mark.event
    return Marked(
        f" AND attribute_not_exists(#used_up_at) AND NOT ({leaves})",
        {
            "used_up_at": event.occurred_at,
            "due_at": event.publish_deadline,
            "due_shard": due_shard_for(link.link_id),
        },
        {"pending_events": {USED_UP_EVENT}},
        values,
    )


def reserve(link: Link, upload_id: str, reservation: Reservation, mark: Mark | None) -> Write:
    """Return the write that reserves an upload in the limits. One byte must be left, also for an empty file."""
    size = reservation.size
    counters = {"partials" if reservation.is_partial else "files": 1, "bytes": size, "received_bytes": size}
    limits = _limits(link, max(size, 1))
    if reservation.is_partial:
        limits["partials"] = MAX_OPEN_PARTIALS - 1
    return _reserve(link, upload_id, reservation, counters, limits, mark=mark)


def reserve_final(
    link: Link,
    upload_id: str,
    reservation: Reservation,
    usage: LinkUsage,
    *,
    partial_ids: Sequence[str],
    mark: Mark | None,
) -> Write:
    """Return the write that reserves a final upload in the limits, and ends the reservations of its partial uploads.

    Its condition is that no partial upload of the link has ended since `usage` was read. So the expression stays short,
    however many there are.
    """
    moved = _moved(usage, partial_ids)
    size = reservation.size - sum(each.size for each in moved.values())
    counters = {"files": 1, "bytes": size, "received_bytes": size}
    if moved:
        counters |= {"partials": -len(moved), "ended_partials": len(moved)}
    aliases = {f"p{number}": rows.reservation_attribute(each) for number, each in enumerate(moved)}
    unchanged = "#ended_partials = :ended_partials"
    write = _reserve(
        link,
        upload_id,
        reservation,
        counters,
        _limits(link, size),
        mark=mark,
        removed=aliases,
        condition=unchanged if usage.ended_partials else f"({unchanged} OR attribute_not_exists(#ended_partials))",
        values={"ended_partials": usage.ended_partials},
    )
    names = write.params["ExpressionAttributeNames"] | {f"#{alias}": name for alias, name in aliases.items()}
    return Write(write.kind, {**write.params, "ExpressionAttributeNames": names})


def has_room_for_final(link: Link, size: int, usage: LinkUsage, partial_ids: Sequence[str]) -> bool:
    """Return whether the counters leave room for a final upload."""
    size -= sum(each.size for each in _moved(usage, partial_ids).values())
    return all(getattr(usage, name) <= limit for name, limit in _limits(link, size).items())


def grow(link: Link, upload_id: str, known: Reservation, grown: Reservation, mark: Mark | None) -> Write:
    """Return the write that reserves what an upload grows by, if its reservation has the known size."""
    attribute, added = rows.reservation_attribute(upload_id), grown.size - known.size
    limits = {name: limit for name, limit in _limits(link, added).items() if name in ("bytes", "received_bytes")}
    marked = with_mark(link, mark, limits)
    length = len(rows.reservation_value(known))
    changed = Reservation(grown.size, grown.reserved_at, known.is_partial)
    return update(
        rows.usage_key(link.link_id),
        {attribute: rows.reservation_value(changed), **marked.sets},
        adds={"bytes": added, "received_bytes": added, **marked.adds},
        condition=f"#{attribute}[0] = :known AND size(#{attribute}) = :length AND {_within(limits)}{marked.condition}",
        values={**limits, "zero": 0, "known": known.size, "length": length, **marked.values},
    )


def resize(link_id: str, upload_id: str, reservation: Reservation, size: int) -> Write:
    """Return the write that gives a reservation another size, if it is as read."""
    attribute, added = rows.reservation_attribute(upload_id), size - reservation.size
    changed = Reservation(size, reservation.reserved_at, reservation.is_partial)
    return update(
        rows.usage_key(link_id),
        {attribute: rows.reservation_value(changed)},
        adds={"bytes": added, "received_bytes": added},
        condition=f"#{attribute} = :stored",
        values={"stored": rows.reservation_value(reservation)},
    )


def end(link_id: str, upload_id: str, reservation: Reservation, adds: Mapping[str, int]) -> Write:
    """Return the write that removes a reservation and changes the counters, if the reservation is as read."""
    attribute = rows.reservation_attribute(upload_id)
    partial = {"partials": -1, "ended_partials": 1} if reservation.is_partial else {}
    return update(
        rows.usage_key(link_id),
        {attribute: None},
        adds={**adds, **partial},
        condition=f"#{attribute} = :stored",
        values={"stored": rows.reservation_value(reservation)},
    )


def _reserve(
    link: Link,
    upload_id: str,
    reservation: Reservation,
    counters: Mapping[str, int],
    limits: Mapping[str, int],
    *,
    mark: Mark | None,
    removed: Mapping[str, str] | None = None,
    condition: str = "",
    values: Mapping[str, Any] | None = None,
) -> Write:
    attribute = rows.reservation_attribute(upload_id)
    conditions = [f"attribute_not_exists(#{attribute})", _within(limits), *([condition] if condition else [])]
    marked = with_mark(link, mark, _last(link, {"started": 1, **counters}))
    sets = {
        attribute: rows.reservation_value(reservation),
        "due_shard": due_shard_for(link.link_id),
        "ttl": link.ttl_epoch_seconds,
        **marked.sets,
        **dict.fromkeys(removed or {}),
    }
    is_due = "due_at" in marked.sets
    due_at = {} if is_due else {"due_at": reservation.reserved_at + RESERVATION_CHECK_MS}
    return update(
        rows.usage_key(link.link_id),
        sets,
        adds={"started": 1, **counters, **marked.adds},
        extra_sets=[] if is_due else ["#due_at = if_not_exists(#due_at, :due_at)"],
        condition=" AND ".join(conditions) + marked.condition,
        values={**limits, **(values or {}), "zero": 0, **due_at, **marked.values},
    )


def _maxima(link: Link) -> dict[str, int]:
    max_files, max_bytes = link.max_files or 0, link.max_bytes or 0
    return {
        "files": max_files,
        "started": MAX_STARTED_FACTOR * max_files,
        "bytes": max_bytes,
        "received_bytes": MAX_RECEIVED_FACTOR * max_bytes,
    }


def _limits(link: Link, size: int) -> dict[str, int]:
    """Return, by counter, the greatest value that leaves room for an upload of this size.

    A partial upload takes no file. It may begin only while a file is left, like every upload.
    """
    taken = {"files": 1, "started": 1, "bytes": size, "received_bytes": size}
    return {name: maximum - taken[name] for name, maximum in _maxima(link).items()}


def _last(link: Link, taken: Mapping[str, int]) -> dict[str, int]:
    """Return, by counter, the value from which on a write that takes this leaves nothing of its limit."""
    return {name: maximum - taken.get(name, 0) for name, maximum in _maxima(link).items()}


def _within(limits: Mapping[str, int]) -> str:
    """Return the condition that each counter is at most at its limit.

    A counter that is absent is 0. A limit below 0 is that of a file which is larger than the limit itself.
    """
    return " AND ".join(
        f"(attribute_not_exists(#{name}) AND :zero <= :{name} OR #{name} <= :{name})" for name in limits
    )


def _moved(usage: LinkUsage, partial_ids: Sequence[str]) -> dict[str, Reservation]:
    """Return the reservations of partial uploads that become part of a final one."""
    found = {each: usage.reservations.get(each) for each in partial_ids}
    return {each: value for each, value in found.items() if value is not None and value.is_partial}
