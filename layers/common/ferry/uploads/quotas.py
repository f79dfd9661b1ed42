"""Check a new upload against the quota of its namespace (docs/decisions/0004)."""

from __future__ import annotations

from dataclasses import replace

from ferry.errors import QuotaExceeded
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadRecord


def check_quota(quota: Quota, size: int) -> None:
    """Raise `QuotaExceeded` if an upload of `size` bytes would exceed a limit."""
    limits = (
        ("file", quota.max_file_bytes, 0, size),
        ("bytes", quota.max_bytes, quota.used_bytes, size),
        ("uploads", quota.max_uploads, quota.open_uploads, 1),
    )
    for which, limit, used, requested in limits:
        if limit is not None and used + requested > limit:
            exceeded = {"which": which, "limit": limit, "used": used, "requested": requested}
            raise QuotaExceeded(_DETAILS[which].format(**exceeded), quota=exceeded)


def quota_without(quota: Quota, record: UploadRecord) -> Quota:
    """Return the quota as it will be once an upload has been cancelled."""
    if not record.counted_in_quota:
        return quota
    return replace(quota, used_bytes=quota.used_bytes - record.layout.size, open_uploads=quota.open_uploads - 1)


_DETAILS = {
    "file": "A file of this namespace may have {limit} bytes; this one has {requested}. Send a smaller file.",
    "bytes": (
        "Files and open uploads of this namespace may have {limit} bytes together. They have {used}, and this upload "
        "has {requested}. Delete files or cancel uploads first."
    ),
    "uploads": ("This namespace may have {limit} uploads in progress, and has {used}. Complete or cancel one first."),
}
