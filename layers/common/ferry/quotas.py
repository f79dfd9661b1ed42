"""What a namespace may have (docs/decisions/0004): the refusal, and counting what came before the limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from ferry.errors import QuotaExceeded
from ferry.model import File, Quota, Session, State
from ferry.ports import Ledger, Moved

PAGE = 100


class Quotas(Protocol):
    """Limits and what is counted, as an operator works with them."""

    def quota(self, ns: str) -> Quota | None:
        """None: the namespace never had one."""
        ...

    def limit(self, ns: str, *, max_bytes: int | None, max_uploads: int | None, max_file: int | None) -> Quota:
        """Set the limits; what is counted stays. Returns the quota as it stands then."""
        ...

    def count_file(self, file: File) -> None:
        """Count a file that is not yet.

        Raises:
            Moved: it is, or is another or none; or the namespace has no quota.
        """
        ...

    def count_upload(self, session: Session) -> None:
        """Count a creating or open upload that is not yet; by its new version whoever is about to complete it knows.

        Raises:
            Moved: it is counted, or in another state; or the namespace has no quota.
        """
        ...


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
    """What was counted that was not before, and how much could not be: it was being completed, or has just changed."""

    files: int = 0
    uploads: int = 0
    left_out: int = 0


def recount(ledger: Ledger, quotas: Quotas, ns: str) -> Recounted:
    """Count what is not counted, each once. May be repeated, and broken off; the namespace must have a quota.

    Uploads first, so that one that becomes a file meanwhile is found as that.
    """
    done = Recounted()
    cursor = None
    while True:
        page = ledger.open_slots(ns, cursor, PAGE)
        for slot in page.items:
            _count_upload(ledger, quotas, slot.upload_id, done)
        cursor = page.cursor
        if cursor is None:
            break
    while True:
        files = ledger.files(ns, "", cursor, PAGE)
        for file in files.items:
            if not file.counted:
                _count_file(quotas, file, done)
        cursor = files.cursor
        if cursor is None:
            return done


def _count_upload(ledger: Ledger, quotas: Quotas, upload_id: str, done: Recounted) -> None:
    upload = ledger.upload(upload_id)
    if upload is None or upload.session.counted or not upload.session.state.in_progress:
        return
    if upload.session.state is State.COMPLETING:
        done.left_out += 1
        return
    try:
        quotas.count_upload(upload.session)
        done.uploads += 1
    except Moved:
        done.left_out += 1


def _count_file(quotas: Quotas, file: File, done: Recounted) -> None:
    try:
        quotas.count_file(file)
        done.files += 1
    except Moved:
        done.left_out += 1
