"""What a namespace may have (docs/decisions/0004): the refusal, and counting what came before the limit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ferry.errors import QuotaExceeded
from ferry.model import Quota, Session, State
from ferry.ports import Ledger, Moved

PAGE = 100


def refuse(quota: Quota, size: int) -> None:
    """Raises `QuotaExceeded` when an upload of that size would exceed a limit."""
    limits = (
        ("file", quota.max_file, 0, size),
        ("bytes", quota.max_bytes, quota.bytes, size),
        ("uploads", quota.max_uploads, quota.uploads, 1),
    )
    for which, limit, used, requested in limits:
        if limit is not None and used + requested > limit:
            told = {"which": which, "limit": limit, "used": used, "requested": requested}
            raise QuotaExceeded(_DETAILS[which].format(**told), quota=told)


def without(quota: Quota, session: Session) -> Quota:
    """As it will be once that upload has been cancelled."""
    if not session.counted:
        return quota
    return replace(quota, bytes=quota.bytes - session.grid.size, uploads=quota.uploads - 1)


_DETAILS = {
    "file": "A file may have {limit} bytes; this one has {requested}",
    "bytes": "Files and open uploads may have {limit} bytes together; they have {used}, and this has {requested}",
    "uploads": "There may be {limit} uploads in progress, and there are {used}: complete or cancel one",
}


@dataclass(slots=True)
class Recounted:
    """What was counted that was not before, and how many uploads could not be: they were being completed, or ended."""

    files: int = 0
    uploads: int = 0
    left_out: int = 0


def recount(ledger: Ledger, ns: str) -> Recounted:
    """Count what is not counted, each once. May be repeated, and broken off; the namespace must have a quota."""
    done = Recounted()
    _recount_uploads(ledger, ns, done)
    cursor = None
    while True:
        page = ledger.files(ns, "", cursor, PAGE)
        for file in page.items:
            if not file.counted:
                try:
                    ledger.count_file(file)
                    done.files += 1
                except Moved:  # replaced, deleted, or counted by another
                    continue
        cursor = page.cursor
        if cursor is None:
            return done


def _recount_uploads(ledger: Ledger, ns: str, done: Recounted) -> None:
    cursor = None
    while True:
        page = ledger.open_slots(ns, cursor, PAGE)
        for slot in page.items:
            upload = ledger.upload(slot.upload_id)
            if upload is None or upload.session.counted or not upload.session.state.in_progress:
                continue
            try:
                if upload.session.state is State.COMPLETING:
                    raise Moved
                ledger.count_upload(upload.session)
                done.uploads += 1
            except Moved:
                done.left_out += 1
        cursor = page.cursor
        if cursor is None:
            return
