"""Count the usage of a namespace that existed before its quota (docs/decisions/0004)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.upload_repository import UploadRepository

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
