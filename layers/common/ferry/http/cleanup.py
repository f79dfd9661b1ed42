"""Cleanup: query parameters to the arguments of the use case, and reports to metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ferry.http.request import Request
from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from ferry.cleanup import CleanupReport

PARAMETERS = frozenset({"older_than", "filename", "dry_run", "cursor"})
"""Query parameters of the route."""


@dataclass(frozen=True, slots=True)
class CleanupRequest:
    """What a request asks to have cleaned up."""

    older_than_seconds: int | None
    """Seconds since the last activity; None for uploads that have passed their own expiry."""
    filename: str | None
    """The one name to clean up; None for all names."""
    dry_run: bool
    """Whether to report only."""
    cursor: str | None
    """Where an earlier request ended; None to begin."""


def cleanup_request(request: Request) -> CleanupRequest:
    """Return what the request asks for.

    Raises:
        InvalidField: a parameter is not valid.
        InvalidFilename: `?filename=` is no valid name.
    """
    return CleanupRequest(
        older_than_seconds=request.integer("older_than", minimum=0),
        filename=request.optional_filename(),
        dry_run=request.boolean("dry_run", default=False),
        cursor=request.optional_cursor(),
    )


def cleanup_metrics(report: CleanupReport) -> dict[str, float]:
    """Return the metrics of any cleanup, by name (`ferry.http.metrics`)."""
    return {"UploadsExpired": report.expired, "ReclaimedBytes": report.bytes_reclaimed}


def sweep_metrics(report: CleanupReport) -> dict[str, float]:
    """Return the metrics of a scheduled sweep. Zeros are included: a missing metric means that no sweep ran."""
    return cleanup_metrics(report) | {
        "OldestStaleSeconds": report.oldest_stale_ms / SECOND_MS,
        "ResumedCompletions": report.resumed_completions,
        "RecoveredUploads": report.recovered_uploads,
        "LostUploads": report.lost_uploads,
        "OrphanMultipartUploads": report.orphans.multipart_uploads,
        "OrphanStagedObjects": report.orphans.staged_objects,
        "OrphanObjects": report.orphans.objects,
        "SweepErrors": report.errors,
    }
