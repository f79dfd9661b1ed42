"""What a namespace may have (docs/decisions/0004): the refusal, and counting what came before the limit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from ferry.errors import QuotaExceeded
from ferry.model import File, Quota, UploadRecord, UploadState
from ferry.ports import ConcurrentUpdate, UploadRepository

PAGE_SIZE = 100


class QuotaStore(Protocol):
    """Limits and what is counted, as an operator works with them."""

    def get_quota(self, ns: str) -> Quota | None:
        """None: the namespace never had one."""
        ...

    def set_limits(
        self, ns: str, *, max_bytes: int | None, max_uploads: int | None, max_file_bytes: int | None
    ) -> Quota:
        """Set the limits; what is counted stays. Returns the quota as it stands then."""
        ...

    def count_file(self, file: File) -> None:
        """Count a file that is not yet.

        Raises:
            Moved: it is, or is another or none; or the namespace has no quota.
        """
        ...

    def count_upload(self, record: UploadRecord) -> None:
        """Count a creating or open upload that is not yet; by its new version whoever is about to complete it knows.

        Raises:
            Moved: it is counted, or in another state; or the namespace has no quota.
        """
        ...


def check_quota(quota: Quota, size: int) -> None:
    """Raises `QuotaExceeded` when an upload of that size would exceed a limit."""
    limits = (
        ("file", quota.max_file_bytes, 0, size),
        ("bytes", quota.max_bytes, quota.used_bytes, size),
        ("uploads", quota.max_uploads, quota.open_uploads, 1),
    )
    for which, limit, used, requested in limits:
        if limit is not None and used + requested > limit:
            told = {"which": which, "limit": limit, "used": used, "requested": requested}
            raise QuotaExceeded(_DETAILS[which].format(**told), quota=told)


def quota_without(quota: Quota, record: UploadRecord) -> Quota:
    """As it will be once that upload has been cancelled."""
    if not record.counted_in_quota:
        return quota
    return replace(quota, used_bytes=quota.used_bytes - record.layout.size, open_uploads=quota.open_uploads - 1)


_DETAILS = {
    "file": "A file may have {limit} bytes; this one has {requested}",
    "bytes": "Files and open uploads may have {limit} bytes together; they have {used}, and this has {requested}",
    "uploads": "There may be {limit} uploads in progress, and there are {used}: complete or cancel one",
}


@dataclass(slots=True)
class RecountResult:
    """What was counted that was not before, and how much could not be: it was being completed, or has just changed."""

    files: int = 0
    uploads: int = 0
    skipped: int = 0


def recount(repository: UploadRepository, quota_store: QuotaStore, ns: str) -> RecountResult:
    """Count what is not counted, each once. May be repeated, and broken off; the namespace must have a quota.

    Uploads first, so that one that becomes a file meanwhile is found as that.
    """
    done = RecountResult()
    cursor = None
    while True:
        page = repository.list_open_uploads(ns, cursor, PAGE_SIZE)
        for slot in page.items:
            _count_upload(repository, quota_store, slot.upload_id, done)
        cursor = page.cursor
        if cursor is None:
            break
    while True:
        files = repository.list_files(ns, "", cursor, PAGE_SIZE)
        for file in files.items:
            if not file.counted_in_quota:
                _count_file(quota_store, file, done)
        cursor = files.cursor
        if cursor is None:
            return done


def _count_upload(repository: UploadRepository, quota_store: QuotaStore, upload_id: str, result: RecountResult) -> None:
    upload = repository.get_upload(upload_id)
    if upload is None or upload.record.counted_in_quota or not upload.record.state.in_progress:
        return
    if upload.record.state is UploadState.COMPLETING:
        result.skipped += 1
        return
    try:
        quota_store.count_upload(upload.record)
        result.uploads += 1
    except ConcurrentUpdate:
        result.skipped += 1


def _count_file(quota_store: QuotaStore, file: File, result: RecountResult) -> None:
    try:
        quota_store.count_file(file)
        result.files += 1
    except ConcurrentUpdate:
        result.skipped += 1
