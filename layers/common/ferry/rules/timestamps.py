"""Times as answers and events show them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def format_rfc3339(epoch_ms: int) -> str:
    """Epoch milliseconds in UTC: `2026-01-31T12:00:00.000Z` (RFC 3339)."""
    moment = _EPOCH + timedelta(milliseconds=epoch_ms)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{epoch_ms % 1000:03}Z"
