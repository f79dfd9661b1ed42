"""Times as responses and events contain them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_rfc3339(epoch_ms: int) -> str:
    """Return epoch milliseconds in UTC as RFC 3339 writes them: `2026-01-31T12:00:00.000Z`."""
    time = _EPOCH + timedelta(milliseconds=epoch_ms)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03}Z"
