"""Record the activity of a client on an upload, which postpones its expiry."""

from __future__ import annotations

from ferry.model.uploads import Upload, UploadState
from ferry.rules.durations import MINUTE_MS
from ferry.services import Services

MAX_ACTIVITY_INTERVAL_MS = MINUTE_MS
"""Longest time between two records of the activity of an active client."""

ACTIVITY_INTERVALS_PER_TIMEOUT = 100
"""Records of activity within an idle timeout, at least: if it is short, activity is recorded more often."""


def record_activity(services: Services, upload: Upload) -> Upload:
    """Return the upload with activity recorded now. Without a write if the last activity is recent enough.

    A completing upload does not expire, and recording a chunk or a lease records activity itself.

    Raises:
        ConcurrentUpdate: the upload was closed or has ended since it was read.
    """
    record, now = upload.record, services.clock()
    if record.state not in (UploadState.CREATING, UploadState.OPEN):
        return upload
    interval_ms = min(MAX_ACTIVITY_INTERVAL_MS, record.idle_timeout_ms // ACTIVITY_INTERVALS_PER_TIMEOUT)
    if now - upload.last_activity_at < interval_ms:
        return upload
    return services.upload_repository.record_activity(upload, now=now)
