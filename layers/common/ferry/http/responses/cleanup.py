"""The response body of a cleanup, and the report of a scheduled sweep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ferry.http.json_values import OMIT_NONE
from ferry.http.responses.members import Count
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from ferry.cleanup import CleanupReport


@dataclass(frozen=True, slots=True)
class Orphans:
    """Storage that no upload and no file refers to. Only the scheduled sweep looks for it; elsewhere it is 0."""

    multipart_uploads: Count
    """Multipart uploads that were aborted."""
    staged_objects: Count
    """Staged chunks that were deleted."""
    objects: Count
    """Objects that were scheduled for deletion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupBody:
    """What a cleanup did, or would do in a dry run."""

    examined: Count
    """Uploads that were looked at."""
    expired: Count
    """Uploads that were ended."""
    bytes_reclaimed: Count
    """Bytes of the uploads that were ended."""
    orphans: Orphans
    """Unreferenced storage."""
    errors: Count
    """Uploads that could not be cleaned up; a later cleanup tries again."""
    complete: bool
    """False when the time budget ended the run; `cursor` then says where to continue."""
    dry_run: bool
    """Whether nothing was changed."""
    cursor: str | None = field(default=None, metadata=OMIT_NONE)
    """Where the next request continues; absent when the run is complete."""

    @classmethod
    def from_report(cls, report: CleanupReport) -> CleanupBody:
        return cls(**_members(report))


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepBody(CleanupBody):
    """What a scheduled sweep did: the function's result, and a line in its log."""

    resumed_completions: Count
    """Completions whose lease had expired and that were resumed."""
    recovered: Count
    """Uploads that were completed because S3 already had their object."""
    lost: Count
    """Uploads that expired because S3 had neither their multipart upload nor their object."""
    oldest_stale_seconds: Count
    """Seconds for which the oldest stale upload had been due."""

    @classmethod
    def from_report(cls, report: CleanupReport) -> SweepBody:
        return cls(
            **_members(report),
            resumed_completions=report.resumed_completions,
            recovered=report.recovered_uploads,
            lost=report.lost_uploads,
            oldest_stale_seconds=report.oldest_stale_ms // SECOND_MS,
        )


def _members(report: CleanupReport) -> dict[str, Any]:
    orphans = report.orphans
    return {
        "examined": report.examined,
        "expired": report.expired,
        "bytes_reclaimed": report.bytes_reclaimed,
        "orphans": Orphans(orphans.multipart_uploads, orphans.staged_objects, orphans.objects),
        "errors": report.errors,
        "complete": report.complete,
        "dry_run": report.dry_run,
        "cursor": report.cursor,
    }
