"""What a clean-up did, and the guard around each of its steps."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from ferry.errors import FerryError
from ferry.ports.errors import ConcurrentUpdate

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class OrphanCounts:
    """What S3 had and no row knew: aborted, deleted, and (objects) given a row of their own to wait by."""

    multipart_uploads: int = 0
    staged_objects: int = 0
    objects: int = 0


@dataclass(slots=True)
class CleanupReport:
    """What a run did (or, dry, would do). `cursor` is where to go on.

    `bytes_reclaimed` are those of ended uploads. `lapsed` completions were gone on with. `recovered` uploads were
    completed since S3 had the object already; `lost` ones had neither multipart upload nor object, and expired.
    `oldest_stale` is how long, in milliseconds, the session that has waited longest had been due for its end.
    """

    dry_run: bool = False
    examined: int = 0
    expired: int = 0
    bytes_reclaimed: int = 0
    orphans: OrphanCounts = field(default_factory=OrphanCounts)
    errors: int = 0
    complete: bool = True
    cursor: str | None = None
    resumed_completions: int = 0
    recovered_uploads: int = 0
    lost_uploads: int = 0
    oldest_stale_ms: int = 0

    def observe_staleness(self, age_ms: int) -> None:
        self.oldest_stale_ms = max(self.oldest_stale_ms, age_ms)

    def run_step(self, subject: str, step: Callable[[], object]) -> bool:
        """Take a step for one subject; whether it ended well. One that fails must not keep the others waiting."""
        try:
            step()
        except ConcurrentUpdate:
            logger.info("%s moved on while it was looked at", subject)
        except FerryError as error:
            self.errors += 1
            logger.warning("%s could not be cleaned up: %s", subject, error.code)
            return False
        except Exception:  # a row that nobody foresaw: noted with its place in the code, and the next one's turn
            self.errors += 1
            logger.exception("%s could not be cleaned up", subject)
            return False
        return True
