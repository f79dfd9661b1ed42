"""What uploads take of the limits of a link: updates of the counters' row (docs/decisions/0014, Counters)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ferry.aws import link_rows as rows
from ferry.aws.expressions import Write, update
from ferry.aws.metadata_rows import due_shard_for
from ferry.model.links import (
    MAX_OPEN_PARTIALS,
    MAX_RECEIVED_FACTOR,
    MAX_STARTED_FACTOR,
    Link,
    LinkUsage,
    Reservation,
)
from ferry.ports.link_repository import RESERVATION_CHECK_MS


def reserve(link: Link, upload_id: str, reservation: Reservation) -> Write:
    """Return the write that takes an upload of the limits. One byte must be left, also for an empty file."""
    size = reservation.size
    counters = {"partials" if reservation.is_partial else "files": 1, "bytes": size, "received_bytes": size}
    limits = _limits(link, max(size, 1), takes_file=not reservation.is_partial)
    return _reserve(link, upload_id, reservation, counters, limits)


def reserve_final(
    link: Link, upload_id: str, reservation: Reservation, usage: LinkUsage, partial_ids: Sequence[str]
) -> Write:
    """Return the write that takes a final upload of the limits, and ends the reservations of its partial uploads.

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
        removed=aliases,
        condition=unchanged if usage.ended_partials else f"({unchanged} OR attribute_not_exists(#ended_partials))",
        values={"ended_partials": usage.ended_partials},
    )
    names = write.params["ExpressionAttributeNames"] | {f"#{alias}": name for alias, name in aliases.items()}
    return Write(write.kind, {**write.params, "ExpressionAttributeNames": names})


def has_room_for_final(link: Link, size: int, usage: LinkUsage, partial_ids: Sequence[str]) -> bool:
    """Return whether the counters leave room for a final upload."""
    size -= sum(each.size for each in _moved(usage, partial_ids).values())
    limits = _limits(link, size)
    return all(getattr(usage, name) <= limit for name, limit in limits.items())


def grow(link: Link, upload_id: str, known: Reservation, size: int, now: int) -> Write:
    """Return the write that takes what an upload has grown by, if it has the known size."""
    attribute, added = rows.reservation_attribute(upload_id), size - known.size
    limits = {name: limit for name, limit in _limits(link, added).items() if name in ("bytes", "received_bytes")}
    return update(
        rows.usage_key(link.link_id),
        {attribute: rows.reservation_value(Reservation(size, now, known.is_partial))},
        adds={"bytes": added, "received_bytes": added},
        condition=f"#{attribute}[0] = :known AND size(#{attribute}) = :length AND " + _within(limits),
        values={**limits, "zero": 0, "known": known.size, "length": len(rows.reservation_value(known))},
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
    removed: Mapping[str, str] | None = None,
    condition: str = "",
    values: Mapping[str, Any] | None = None,
) -> Write:
    attribute = rows.reservation_attribute(upload_id)
    conditions = [f"attribute_not_exists(#{attribute})", _within(limits), *([condition] if condition else [])]
    return update(
        rows.usage_key(link.link_id),
        {
            attribute: rows.reservation_value(reservation),
            "due_shard": due_shard_for(link.link_id),
            "ttl": link.ttl_epoch_seconds,
            **dict.fromkeys(removed or {}),
        },
        adds={"started": 1, **counters},
        extra_sets=["#due_at = if_not_exists(#due_at, :due_at)"],
        condition=" AND ".join(conditions),
        values={**limits, **(values or {}), "zero": 0, "due_at": reservation.reserved_at + RESERVATION_CHECK_MS},
    )


def _limits(link: Link, size: int, *, takes_file: bool = True) -> dict[str, int]:
    """Return the counters, each with the greatest value that leaves room for an upload of this size."""
    max_files, max_bytes = link.max_files or 0, link.max_bytes or 0
    return {
        # A partial upload takes no file, but begins nothing once all are taken.
        "files": max_files - 1,
        "started": MAX_STARTED_FACTOR * max_files - 1,
        "bytes": max_bytes - size,
        "received_bytes": MAX_RECEIVED_FACTOR * max_bytes - size,
        **({} if takes_file else {"partials": MAX_OPEN_PARTIALS - 1}),
    }


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
