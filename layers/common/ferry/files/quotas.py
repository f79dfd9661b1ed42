"""Check a new file or upload against the quota of its namespace (docs/decisions/0004)."""

from __future__ import annotations

from ferry.errors import QuotaExceeded
from ferry.model.quotas import Quota
from ferry.services import Services


def check_quota(quota: Quota, size: int, *, uploads: int = 1) -> None:
    """Raise `QuotaExceeded` if a file of `size` bytes, with `uploads` more in progress, would exceed a limit."""
    limits = (
        ("file", quota.max_file_bytes, 0, size),
        ("bytes", quota.max_bytes, quota.used_bytes, size),
        ("uploads", quota.max_uploads if uploads else None, quota.open_uploads, uploads),
    )
    for which, limit, used, requested in limits:
        _check_limit(which, limit, used, requested)


def check_file_size(quota: Quota, size: int) -> None:
    """Raise `QuotaExceeded` if no file of `size` bytes can be within the limits, whatever the usage is."""
    _check_limit("file", quota.max_file_bytes, 0, size)
    _check_limit("bytes", quota.max_bytes, 0, size)


def check_added_bytes(quota: Quota, added_bytes: int) -> None:
    """Raise `QuotaExceeded` if the usage leaves no room for these bytes."""
    _check_limit("bytes", quota.max_bytes, quota.used_bytes, added_bytes)


def read_quota(services: Services, ns: str, *, fresh: bool = False) -> Quota | None:
    """Return the quota of a namespace; None without one. The limits may be a minute old, the usage older.

    `fresh` reads it now.
    """
    now = services.clock()
    if not fresh:
        known, quota = services.quota_cache.get(ns, now)
        if known:
            return quota
    quota = services.file_repository.get_quota(ns)
    services.quota_cache.put(ns, quota, now)
    return quota


def _check_limit(which: str, limit: int | None, used: int, requested: int) -> None:
    if limit is not None and used + requested > limit:
        detail = _DETAILS[which].format(limit=limit, used=used, requested=requested)
        raise QuotaExceeded(detail, quota=which, limit=limit, used=used, requested=requested)


_DETAILS = {
    "file": "A file of this namespace may have {limit} bytes; this one has {requested}. Send a smaller file.",
    "bytes": (
        "Files and open uploads of this namespace may have {limit} bytes together. They have {used}, and this request "
        "adds {requested}. Delete files or cancel uploads first."
    ),
    "uploads": ("This namespace may have {limit} uploads in progress, and has {used}. Complete or cancel one first."),
}
