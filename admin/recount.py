"""Count files and uploads of a namespace that existed before its quota (docs/decisions/0004)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ferry.model.files import File
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadRecord, UploadState
from ferry.ports.errors import ConcurrentUpdate
from ferry.ports.file_repository import FileRepository
from ferry.ports.upload_repository import UploadRepository
from ferry.rules.listing import after_name

PAGE_SIZE = 100
"""Uploads or files of one listing."""


class QuotaStore(Protocol):
    """Limits and usage of namespaces, as the operator changes them."""

    def get_quota(self, ns: str) -> Quota | None:
        """Return the quota, or None if the namespace never had one."""
        ...

    def set_limits(
        self, ns: str, *, max_bytes: int | None, max_uploads: int | None, max_file_bytes: int | None
    ) -> Quota:
        """Set all limits, keep the usage, and return the quota. None lifts a limit."""
        ...

    def count_file(self, file: File) -> None:
        """Count a file that is not counted.

        Raises:
            ConcurrentUpdate: it is counted, replaced or deleted, or the namespace has no quota.
        """
        ...

    def count_upload(self, record: UploadRecord) -> None:
        """Count a creating or open upload that is not counted. Its new version makes a concurrent completion retry.

        Raises:
            ConcurrentUpdate: it is counted or in another state, or the namespace has no quota.
        """
        ...


@dataclass(slots=True)
class RecountResult:
    """What one recount did."""

    files: int = 0
    """Files newly counted."""
    uploads: int = 0
    """Uploads newly counted."""
    skipped: int = 0
    """Files and uploads not counted, because they were being completed or changed meanwhile."""


def recount(
    repository: UploadRepository, file_repository: FileRepository, quota_store: QuotaStore, ns: str
) -> RecountResult:
    """Count what is not counted, each once. It may be interrupted and repeated; the namespace must have a quota.

    Uploads come first, so that one that becomes a file meanwhile is counted as a file.
    """
    result = RecountResult()
    cursor = None
    while True:
        page = repository.list_open_uploads(ns, cursor, PAGE_SIZE)
        for current_upload in page.items:
            _count_upload(repository, quota_store, current_upload.upload_id, result)
        cursor = page.cursor
        if cursor is None:
            break
    position = ""
    while True:
        files = file_repository.list_files(ns, "", start=position, limit=PAGE_SIZE)
        for file in files.items:
            if not file.counted_in_quota:
                _count_file(quota_store, file, result)
            position = after_name(file.name)
        if not files.has_more:
            return result


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
