"""Limits of request members; `POST /upload/start` returns those that a client plans by."""

from __future__ import annotations

MAX_UPLOAD_ID_BYTES = 128
"""Bytes of an `upload_id` in a request; those that Ferry issues have 32."""

MAX_FINGERPRINT_BYTES = 256
"""Bytes of `fingerprint`."""

MAX_SIGNED_PARTS = 100
"""Parts in one request for presigned URLs."""
