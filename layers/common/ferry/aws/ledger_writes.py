"""The writes that several of the ledger's transactions are made of (docs/decisions/0001)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from ferry.aws import ledger_rows as rows
from ferry.aws.expressions import Write, update
from ferry.model import File, Quota, Session, State, Upload


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


def as_read(*, counted: bool) -> str:
    """The condition that a row is counted if it was when it was read."""
    return "attribute_exists(#counted)" if counted else "attribute_not_exists(#counted)"


def still(file: File) -> tuple[str, dict[str, Any]]:
    """The condition that a name points to this file, counted or not as it was read."""
    return f"#upload_id = :seen AND {as_read(counted=file.counted)}", {"seen": file.upload_id}


def reserved(session: Session, within: Quota) -> Write:
    """An upload begins: it and its bytes are counted, if both are within the limits then."""
    size, given, limits = session.grid.size, {}, ["attribute_exists(#pk)"]
    if within.max_bytes is not None:
        given["room"] = within.max_bytes - size
        limits.append("#bytes <= :room")
    if within.max_uploads is not None:
        given["most"] = within.max_uploads
        limits.append("#uploads < :most")
    return _count(session.ns, size, 1, " AND ".join(limits), given)


def counted(ns: str, size: int, uploads: int) -> Write:
    """Counted later than it came, beyond the limits too."""
    return _count(ns, size, uploads, "attribute_exists(#pk)")


def uncounted(session: Session) -> list[Write]:
    """An upload ends and leaves nothing."""
    return [_count(session.ns, -session.grid.size, -1)] if session.counted else []


def switched(session: Session, over: File | None) -> list[Write]:
    """An upload becomes a file: its bytes stay, those of the file that it replaces go."""
    freed = over.size if over is not None and over.counted else 0
    return [_count(session.ns, -freed, -int(session.counted))] if freed or session.counted else []


def freed(file: File) -> list[Write]:
    """A file goes."""
    return [_count(file.ns, -file.size, 0)] if file.counted else []


def _count(ns: str, size: int, uploads: int, when: str = "", given: Mapping[str, Any] | None = None) -> Write:
    return update(rows.quota_key(ns), adds={"bytes": size, "uploads": uploads}, when=when, given=given)


def noted(upload_id: str, tell_by: int | None, ttl: int) -> dict[str, Any]:
    """Of a session that is complete: due while its event is to be told, else to be forgotten one day."""
    if tell_by is None:
        return {"untold": None, "ttl": ttl, **rows.NOT_DUE}
    return {"untold": True, **rows.due_attributes(upload_id, tell_by)}


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
