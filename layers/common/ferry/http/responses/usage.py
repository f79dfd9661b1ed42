"""The response body of `GET /usage`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ferry.http.json_values import OMIT_NONE
from ferry.http.responses.members import Count
from ferry.model.quotas import Quota


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """The limits of a namespace. One that it does not have is absent."""

    bytes: Count | None = field(default=None, metadata=OMIT_NONE)
    """Bytes of files and uploads in progress together."""
    uploads: Count | None = field(default=None, metadata=OMIT_NONE)
    """Uploads in progress."""
    file: Count | None = field(default=None, metadata=OMIT_NONE)
    """Bytes of one file."""


@dataclass(frozen=True, slots=True)
class QuotaUsage:
    """What a namespace uses. Without a limit of bytes or uploads it is not counted, and absent."""

    bytes: Count | None = field(default=None, metadata=OMIT_NONE)
    """Bytes of its files, and of its uploads in progress by their declared size."""
    uploads: Count | None = field(default=None, metadata=OMIT_NONE)
    """Its uploads in progress."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The limits of a namespace, and what is used of them; no members for a namespace without limits."""

    limits: QuotaLimits | None = field(default=None, metadata=OMIT_NONE)
    """The limits."""
    used: QuotaUsage | None = field(default=None, metadata=OMIT_NONE)
    """What is used."""

    @classmethod
    def from_quota(cls, quota: Quota | None) -> Usage:
        if quota is None or (quota.max_bytes, quota.max_uploads, quota.max_file_bytes) == (None, None, None):
            return cls()
        used = QuotaUsage(quota.used_bytes, quota.open_uploads) if quota.tracks_usage else QuotaUsage()
        return cls(QuotaLimits(quota.max_bytes, quota.max_uploads, quota.max_file_bytes), used)
