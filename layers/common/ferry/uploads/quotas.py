"""The quota of a namespace, for a start that cancels another upload (docs/decisions/0004)."""

from __future__ import annotations

from dataclasses import replace

from ferry.files.quotas import check_quota
from ferry.model.quotas import Quota
from ferry.model.uploads import UploadRecord

__all__ = ["check_quota", "quota_without"]


def quota_without(quota: Quota, record: UploadRecord) -> Quota:
    """Return the quota as it will be once an upload has been cancelled."""
    if not record.counted_in_quota:
        return quota
    return replace(quota, used_bytes=quota.used_bytes - record.layout.size, open_uploads=quota.open_uploads - 1)
