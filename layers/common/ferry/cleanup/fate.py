"""What is to become of an upload in progress. Looks, and takes no step: a dry run goes exactly this far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ferry.cleanup.report import Report
from ferry.engine import Engine
from ferry.errors import ChecksumMismatch, FileExists, UploadExpired, UploadIncomplete
from ferry.model import State, StoredPart, Upload
from ferry.ports import NoSuchMultipart
from ferry.uploads.complete import recover
from ferry.uploads.ending import end
from ferry.uploads.making import SETTLING
from ferry.uploads.received import list_parts, received


class Fate(StrEnum):
    """What to do with it."""

    LEAVE = "leave"
    """It is alive."""
    WAIT = "wait"
    """A completion may still be under way inside S3."""
    RECOVER = "recover"
    """S3 has made its object, and no row says so: it is to be completed."""
    EXPIRE = "expire"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`bytes` are what it has received; `lost` says that S3 has neither its multipart upload nor its object."""

    fate: Fate
    bytes: int = 0
    lost: bool = False


def judge(engine: Engine, upload: Upload, *, stale: bool) -> Verdict:
    """What is to become of an upload that is open or was never opened (docs/decisions/0005)."""
    session = upload.session
    if session.made is not None:
        # Its object was noted, and refused its name. It is kept for a while: no bytes are won by expiring it.
        return Verdict(Fate.EXPIRE if stale else Fate.LEAVE)
    parts = _parts(engine, upload)
    if parts is None:
        found = engine.objects.head(session.object_key)
        if found is not None and found.size == session.grid.size:
            return Verdict(Fate.RECOVER)
        if session.multipart_id is not None:
            settling = session.leased_at is not None and engine.clock() < session.leased_at + SETTLING
            return Verdict(Fate.WAIT) if settling else Verdict(Fate.EXPIRE, upload.received, lost=True)
    total = received(upload, parts or {}).bytes
    return Verdict(Fate.EXPIRE, total) if stale else Verdict(Fate.LEAVE)


def _parts(engine: Engine, upload: Upload) -> Mapping[int, StoredPart] | None:
    """What counts of S3's parts; None where it has no multipart upload."""
    try:
        parts = list_parts(engine, upload.session)
    except NoSuchMultipart:
        return None
    return parts if upload.direct else {}


def carry_out(engine: Engine, upload: Upload, verdict: Verdict, report: Report, *, thorough: bool = True) -> None:
    """Expire or recover it, unless the run is dry; `thorough`: with its bytes, else those go with the next sweep.

    Raises:
        Moved: it is not (any more) what was judged.
    """
    if verdict.fate is Fate.EXPIRE:
        if not report.dry_run:
            end(engine, upload, State.EXPIRED, thorough=thorough)
        report.expired += 1
        report.lost += verdict.lost
        report.bytes_reclaimed += verdict.bytes
    elif verdict.fate is Fate.RECOVER:
        report.recovered += 1 if report.dry_run else _recovered(engine, upload, report)


def _recovered(engine: Engine, upload: Upload, report: Report) -> bool:
    try:
        recover(engine, upload)
    except UploadExpired:
        report.expired += 1
    except (UploadIncomplete, ChecksumMismatch, FileExists):
        pass  # it is open again with its object noted, as it would be told a client; its time comes
    else:
        return True
    return False
