"""The environment variables of a function under test: every one that `ferry.settings.Settings` requires."""

from __future__ import annotations

FUNCTION_ENVIRONMENT = {
    "FERRY_METADATA_TABLE": "metadata",
    "FERRY_AUTH_TABLE": "auth",
    "FERRY_BUCKET": "bucket",
    "FERRY_TOKEN_TTL_SECONDS": "3600",
    "FERRY_AUTH_CACHE_TTL_SECONDS": "45",
    "FERRY_UPLOAD_IDLE_TIMEOUT_SECONDS": "86400",
    "FERRY_UPLOAD_MAX_AGE_SECONDS": "604800",
    "FERRY_PRESIGNED_URL_TTL_SECONDS": "900",
    "FERRY_LEASE_SECONDS": "35",
    "FERRY_FUNCTION_TIMEOUT_SECONDS": "29",
    "FERRY_ASSEMBLY_BUDGET_SECONDS": "12",
    "FERRY_ORPHAN_RETENTION_DAYS": "35",
    "FERRY_DELETED_FILE_RETENTION_DAYS": "1",
}
"""The template's defaults, and short names for the tables and the bucket."""
