"""The writes that several of the ledger's transactions are made of (docs/decisions/0001)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ferry.aws import ledger_rows as rows
from ferry.aws.expressions import Write, update
from ferry.model import Session, State, Upload


def transition(
    upload_id: str, changes: Mapping[str, Any], when: str, given: Mapping[str, Any], *, also: Sequence[str] = ()
) -> Write:
    """A transition of the session: its version grows."""
    return update(rows.session_key(upload_id), changes, adds={"version": 1}, also=also, when=when, given=given)


def under_lease(upload_id: str, attempt: str, changes: Mapping[str, Any]) -> Write:
    given = {"completing": State.COMPLETING.value, "mine": attempt}
    return transition(upload_id, changes, "#state = :completing AND #attempt = :mine", given)


def released(session: Session, ttl: int) -> Write:
    """The slot is no longer in progress."""
    key = rows.slot_key(session.ns, session.name)
    return update(key, {"open": None, "ttl": ttl}, when="#upload_id = :mine", given={"mine": session.upload_id})


def touched(upload_id: str, stripe: int, now: int, *, direct: bool = False) -> Write:
    changes = {"touched": now} | ({"direct": True} if direct else {})
    key = rows.stripe_key(upload_id, stripe)
    return update(key, changes, adds={"version": 1}, when="attribute_exists(#open)")


def closed(upload: Upload, *, unless: Literal["", "touched", "version"] = "") -> Iterator[Write]:
    """Every stripe closed, late writes fenced out; not if `unless` has changed since the read."""
    for row in upload.stripes:
        yield update(
            rows.stripe_key(upload.session.upload_id, row.stripe),
            {"open": None},
            adds={"epoch": 2},
            when=f"#{unless} = :seen" if unless else "attribute_exists(#pk)",
            given={"seen": getattr(row, unless)} if unless else None,
        )


def reopened(upload: Upload, forget: Iterable[int]) -> Iterator[Write]:
    """Every stripe open again; those that forget chunks only if they are as they were read."""
    grid = upload.session.grid
    lost: dict[int, list[int]] = {}
    for index in sorted(set(forget)):
        if upload.has_chunk(index):
            lost.setdefault(upload.stripe_of(index).stripe, []).append(index)
    for row in upload.stripes:
        key = rows.stripe_key(upload.session.upload_id, row.stripe)
        adds = {"epoch": 2, "version": 1}
        if row.stripe not in lost:
            yield update(key, {"open": True}, adds=adds, when="attribute_exists(#pk)")
            continue
        bits = row.all_bits
        for index in lost[row.stripe]:
            bits &= ~(1 << grid.bit_of_chunk(index))
        adds["received"] = -sum(grid.length_of_chunk(index) for index in lost[row.stripe])
        changes = {"open": True, "bits": rows.bits_attribute(bits), "recent": None, "before": None}
        yield update(key, changes, adds=adds, when="#epoch = :seen", given={"seen": row.epoch})
