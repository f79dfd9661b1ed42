"""What cleanup did, and how a failed step is contained."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ferry.errors import FerryError
from ferry.ports.errors import ConcurrentUpdate

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class OrphanCounts:
    """Orphans that a sweep found in S3."""

    multipart_uploads: int = 0
    """Multipart uploads that were aborted."""
    staged_objects: int = 0
    """Staged chunks that were deleted."""
    objects: int = 0
    """Objects that were scheduled for deletion."""


@dataclass(slots=True)
class CleanupReport:
    """What a run did, or would do if it is dry."""

    dry_run: bool = False
    """Whether the run changed nothing."""
    examined: int = 0
    """Uploads or tasks that were examined."""
    expired: int = 0
    """Uploads that have expired."""
    bytes_reclaimed: int = 0
    """Bytes of ended uploads and of orphans that were deleted."""
    orphans: OrphanCounts = field(default_factory=OrphanCounts)
    """What had no row."""
    errors: int = 0
    """Steps that failed. Their tasks stay due."""
    complete: bool = True
    """Whether nothing was left for lack of time."""
    cursor: str | None = None
    """Where the next request for this namespace continues; None if nothing is left."""
    resumed_completions: int = 0
    """Completions whose lease had expired, and which were resumed."""
    recovered_uploads: int = 0
    """Uploads that were completed because S3 had their object already."""
    lost_uploads: int = 0
    """Uploads that expired because S3 had neither their multipart upload nor their object."""
    oldest_stale_ms: int = 0
    """How long the upload that waited longest had been due to end, in milliseconds."""

    def observe_staleness(self, age_ms: int) -> None:
        """Note how long an upload had been due to end."""
        self.oldest_stale_ms = max(self.oldest_stale_ms, age_ms)

    def run_step(self, subject: str, step: Callable[[], object]) -> bool:
        """Run one step, and return whether it succeeded. A failure is counted and logged, and the run continues.

        An upload that changes while it is examined is no failure: it is examined again when it is due.
        """
        try:
            step()
        except ConcurrentUpdate:
            logger.info("%s changed while it was examined", subject)
        except FerryError as error:
            self.errors += 1
            logger.warning("%s was not cleaned up: %s", subject, error.code)
            return False
        except Exception:  # One row that no code expects must not keep all others from being cleaned up.
            self.errors += 1
            logger.exception("%s was not cleaned up", subject)
            return False
        return True
