"""Check an upload against the quota of its namespace (docs/decisions/0004)."""

from __future__ import annotations

from dataclasses import replace

from ferry.errors import QuotaExceeded
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadRecord


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
