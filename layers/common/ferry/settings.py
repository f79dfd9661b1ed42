"""Settings, read once from the environment of a function (template.yaml sets it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """An issuer outside whose tokens are believed, and which of their claims are what here.

    `scope_prefix` is what the issuer puts before the names of scopes, and is taken away.
    """

    url: str
    jwks_url: str
    audiences: frozenset[str]
    audience_claim: str
    scope_claim: str
    scope_prefix: str
    namespace_claim: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ExternalIssuer | None:
        """None where there is none. Raises `ValueError`: there is one, and it is not told all that must be known."""
        given = {
            name: environ.get(f"FERRY_EXTERNAL_ISSUER_{name.upper()}", "")
            for name in ("url", "jwks_url", "audience_claim", "scope_claim", "scope_prefix", "namespace_claim")
        }
        if not given["url"]:
            return None
        audiences = frozenset(each for each in environ.get("FERRY_EXTERNAL_ISSUER_AUDIENCE", "").split(",") if each)
        missing = [name for name, value in given.items() if not value and name != "scope_prefix"]
        if missing or not audiences:
            raise ValueError(f"the outside issuer lacks {', '.join(missing) or 'an audience'}")
        return cls(audiences=audiences, **given)


@dataclass(frozen=True, slots=True)
class Settings:
    """Typed settings. Durations are seconds, but for those of sessions and completions, which are milliseconds:
    `session_idle`, `session_max_age`, `lease`, `mending`, `keep_objects`; and of `access_cache`: how long keys and
    disabled clients are believed once read.

    `cleanup_function` is the name of the function that long completions are handed on to; empty: to none. `event_bus`
    is the name of the bus that changes are told on; empty: they are not told. `most_waiting` is how many calls may wait
    for news at once; 0: as many as like.
    """

    metadata_table: str
    auth_table: str
    bucket: str
    signing_key_id: str
    token_ttl_seconds: int
    upload_idle_timeout_ms: int
    upload_max_age_ms: int
    presigned_url_ttl_seconds: int
    lease_duration_ms: int
    assembly_budget_ms: int
    auth_cache_ttl_ms: int
    orphan_retention_ms: int
    cleanup_function: str
    max_long_polls: int
    event_bus: str
    endpoints: Mapping[str, str]
    tracing_enabled: bool = False
    log_file_names: bool = False
    issue_tokens: bool = True
    external_issuer: ExternalIssuer | None = None
    issuer: str = "ferry"
    audience: str = "ferry"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Raises `KeyError` naming the variable that is missing."""
        return cls(
            metadata_table=environ["FERRY_METADATA_TABLE"],
            auth_table=environ["FERRY_AUTH_TABLE"],
            bucket=environ["FERRY_BUCKET"],
            signing_key_id=environ.get("FERRY_SIGNING_KEY_ID", ""),
            token_ttl_seconds=int(environ["FERRY_TOKEN_TTL_SECONDS"]),
            upload_idle_timeout_ms=int(environ["FERRY_UPLOAD_IDLE_TIMEOUT_SECONDS"]) * 1000,
            upload_max_age_ms=int(environ["FERRY_UPLOAD_MAX_AGE_SECONDS"]) * 1000,
            presigned_url_ttl_seconds=int(environ["FERRY_PRESIGNED_URL_TTL_SECONDS"]),
            lease_duration_ms=int(environ["FERRY_LEASE_SECONDS"]) * 1000,
            assembly_budget_ms=int(environ["FERRY_ASSEMBLY_BUDGET_SECONDS"]) * 1000,
            auth_cache_ttl_ms=int(environ.get("FERRY_AUTH_CACHE_TTL_SECONDS", "45")) * 1000,
            orphan_retention_ms=int(environ.get("FERRY_ORPHAN_RETENTION_DAYS", "35")) * 86_400_000,
            cleanup_function=environ.get("FERRY_CLEANUP_FUNCTION", ""),
            max_long_polls=int(environ.get("FERRY_MAX_LONG_POLLS", "0")),
            issue_tokens=environ.get("FERRY_ISSUE_TOKENS", "true") == "true",
            external_issuer=ExternalIssuer.from_environment(environ),
            log_file_names=environ.get("FERRY_LOG_FILE_NAMES", "false") == "true",
            event_bus=environ.get("FERRY_EVENT_BUS", ""),
            tracing_enabled=environ.get("FERRY_TRACING", "Disabled") != "Disabled",
            endpoints=dict(pair.split("=", 1) for pair in environ.get("FERRY_ENDPOINTS", "").split(",") if pair),
        )
