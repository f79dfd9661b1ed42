"""Settings of a function, read once from its environment variables (`FERRY_…`), which template.yaml sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ferry.rules.durations import DAY_MS, SECOND_MS


def is_snapshot_start(environ: Mapping[str, str]) -> bool:
    """Return whether Lambda starts this process to take a snapshot of it (SnapStart)."""
    return environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


@dataclass(frozen=True, slots=True)
class ExternalIssuer:
    """An external issuer whose tokens are accepted. Parameters `ExternalIssuer…` set each field."""

    url: str
    """The `iss` claim of its tokens. Parameter `ExternalIssuerUrl`."""
    jwks_url: str
    """URL of its JSON Web Key Set. Parameter `ExternalIssuerJwksUrl`."""
    audiences: frozenset[str]
    """Audiences accepted, at least one. Parameter `ExternalIssuerAudience`, comma-separated."""
    audience_claim: str
    """Claim that holds the audience. Parameter `ExternalIssuerAudienceClaim`, default `aud`."""
    scope_claim: str
    """Claim that holds the scopes, as a string or a list. Parameter `ExternalIssuerScopeClaim`, default `scope`."""
    scope_prefix: str
    """Prefix to remove from its scopes; empty for none. Parameter `ExternalIssuerScopePrefix`, default empty."""
    namespace_claim: str
    """Claim that holds the namespace. Parameter `ExternalIssuerNamespaceClaim`, default `ns`."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ExternalIssuer | None:
        """Return the external issuer, or None if `FERRY_EXTERNAL_ISSUER_URL` is empty.

        Raises:
            ValueError: a variable that it needs is empty.
        """
        values = {
            name: environ.get(f"FERRY_EXTERNAL_ISSUER_{name.upper()}", "")
            for name in ("url", "jwks_url", "audience_claim", "scope_claim", "scope_prefix", "namespace_claim")
        }
        if not values["url"]:
            return None
        audiences = frozenset(each for each in environ.get("FERRY_EXTERNAL_ISSUER_AUDIENCE", "").split(",") if each)
        missing = [name for name, value in values.items() if not value and name != "scope_prefix"]
        if not audiences:
            missing.append("audience")
        if missing:
            variables = ", ".join(f"FERRY_EXTERNAL_ISSUER_{name.upper()}" for name in missing)
            raise ValueError(f"FERRY_EXTERNAL_ISSUER_URL is set, but {variables} is empty")
        return cls(audiences=audiences, **values)


@dataclass(frozen=True, slots=True)
class Settings:
    """Typed settings of one function."""

    metadata_table: str
    """Name of the metadata table."""
    auth_table: str
    """Name of the table of clients and published keys."""
    bucket: str
    """Name of the bucket of file contents and staged chunks."""
    signing_key_id: str
    """KMS key that is published when no key is yet. Empty except in the auth function."""
    token_ttl_seconds: int
    """Lifetime of an access token. Parameter `TokenTtlSeconds`, default 3600."""
    upload_idle_timeout_ms: int
    """Time without a request after which an upload expires. Parameter `UploadIdleTimeoutSeconds`, default 24 hours."""
    upload_max_age_ms: int
    """Age at which an upload expires. Parameter `UploadMaxAgeSeconds`, default 7 days."""
    presigned_url_ttl_seconds: int
    """Lifetime of a presigned S3 URL. Parameter `PresignedUrlTtlSeconds`, default 900."""
    lease_duration_ms: int
    """Lease of a completion; longer than the function's timeout. 35 s, in the cleanup function 930 s."""
    function_timeout_ms: int
    """`Timeout` of the functions behind the API. 29 s."""
    assembly_budget_ms: int
    """Time for assembling parts in one attempt at a completion. 12 s, in the cleanup function 600 s."""
    auth_cache_ttl_ms: int
    """Age up to which an instance uses the published keys and revocations it has read. 45 s."""
    orphan_retention_ms: int
    """Time that an object without a file stays; 0 keeps it forever. Parameter `OrphanRetentionDays`, default 35."""
    deleted_file_retention_ms: int
    """Time that a deleted or replaced file can be restored. Parameter `DeletedFileRetentionDays`, default 1 day."""
    cleanup_function: str
    """Alias of the function that continues long completions. Empty: only the scheduled cleanup continues them."""
    max_long_polls: int
    """Long polls at the same time; 0 for no limit. Parameter `MaxConcurrentLongPolls`, default 100."""
    event_bus: str
    """Name of the event bus. Empty with parameter `EnableEvents=false`, and in functions that publish nothing."""
    endpoints: Mapping[str, str]
    """Addresses of emulators by service (`s3`, `dynamodb`, `kms`, `lambda`, `events`; `s3_public` for presigned URLs).

    Empty on AWS. Set by the local service; FERRY_ENDPOINTS has them as `service=url` pairs, comma-separated.
    """
    public_url: str = ""
    """URL that clients reach the API at, without a `/` at its end; empty for `https://` and the gateway's domain name.

    Parameter `PublicUrl`, default empty. The local service sets its own address.
    """
    storage_class: str = ""
    """Storage class of files' objects; empty for the default, STANDARD. Parameter `StorageClass`."""
    chunk_endpoint: str = ""
    """URL of the chunk function, without a `/` at its end; empty: chunks go to the API. Parameter `ChunkEndpoint`."""
    link_max_downloads: int = 1_000
    """Downloads of a link that sets no limit of its own. Parameter `LinkDefaultMaxDownloads`."""
    link_max_files: int = 1_000
    """Files of an upload link that sets no limit of its own. Parameter `LinkDefaultMaxFiles`."""
    link_max_bytes: int = 100 * 1024**3
    """Bytes of an upload link that sets no limit of its own. Parameter `LinkDefaultMaxBytes`, default 100 GiB."""
    client_address_header: str = ""
    """Header, in lower case, in which a CDN sends the client's address; empty: the gateway's source address.

    Parameter `ClientAddressHeader`, default empty.
    """
    tracing_enabled: bool = False
    """Whether requests are traced with X-Ray. Parameter `Tracing`, default `Disabled`."""
    log_file_names: bool = False
    """Whether audit events contain filenames. Parameter `LogFileNames`, default false."""
    issue_tokens: bool = True
    """Whether Ferry issues and accepts tokens of its own. Parameter `EnableTokenIssuer`, default true."""
    external_issuer: ExternalIssuer | None = None
    """The external issuer; None without one."""
    issuer: str = "ferry"
    """`iss` of Ferry's own tokens. Fixed."""
    audience: str = "ferry"
    """`aud` of Ferry's own tokens. Fixed."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings.

        Raises:
            KeyError: names the variable that is missing.
            ValueError: a number is malformed, or the external issuer is incomplete.
        """
        return cls(
            metadata_table=environ["FERRY_METADATA_TABLE"],
            auth_table=environ["FERRY_AUTH_TABLE"],
            bucket=environ["FERRY_BUCKET"],
            signing_key_id=environ.get("FERRY_SIGNING_KEY_ID", ""),
            token_ttl_seconds=int(environ["FERRY_TOKEN_TTL_SECONDS"]),
            upload_idle_timeout_ms=int(environ["FERRY_UPLOAD_IDLE_TIMEOUT_SECONDS"]) * SECOND_MS,
            upload_max_age_ms=int(environ["FERRY_UPLOAD_MAX_AGE_SECONDS"]) * SECOND_MS,
            presigned_url_ttl_seconds=int(environ["FERRY_PRESIGNED_URL_TTL_SECONDS"]),
            lease_duration_ms=int(environ["FERRY_LEASE_SECONDS"]) * SECOND_MS,
            function_timeout_ms=int(environ["FERRY_FUNCTION_TIMEOUT_SECONDS"]) * SECOND_MS,
            assembly_budget_ms=int(environ["FERRY_ASSEMBLY_BUDGET_SECONDS"]) * SECOND_MS,
            auth_cache_ttl_ms=int(environ["FERRY_AUTH_CACHE_TTL_SECONDS"]) * SECOND_MS,
            orphan_retention_ms=int(environ["FERRY_ORPHAN_RETENTION_DAYS"]) * DAY_MS,
            deleted_file_retention_ms=int(environ["FERRY_DELETED_FILE_RETENTION_DAYS"]) * DAY_MS,
            cleanup_function=environ.get("FERRY_CLEANUP_FUNCTION", ""),
            max_long_polls=int(environ.get("FERRY_MAX_LONG_POLLS", "0")),
            issue_tokens=environ.get("FERRY_ISSUE_TOKENS", "true") == "true",
            external_issuer=ExternalIssuer.from_environment(environ),
            log_file_names=environ.get("FERRY_LOG_FILE_NAMES", "false") == "true",
            event_bus=environ.get("FERRY_EVENT_BUS", ""),
            public_url=environ.get("FERRY_PUBLIC_URL", ""),
            storage_class=environ.get("FERRY_STORAGE_CLASS", ""),
            chunk_endpoint=environ.get("FERRY_CHUNK_ENDPOINT", "").rstrip("/"),
            link_max_downloads=int(environ.get("FERRY_LINK_MAX_DOWNLOADS", "1000")),
            link_max_files=int(environ.get("FERRY_LINK_MAX_FILES", "1000")),
            link_max_bytes=int(environ.get("FERRY_LINK_MAX_BYTES", str(100 * 1024**3))),
            client_address_header=environ.get("FERRY_CLIENT_ADDRESS_HEADER", "").lower(),
            tracing_enabled=environ.get("FERRY_TRACING", "Disabled") != "Disabled",
            endpoints=dict(pair.split("=", 1) for pair in environ.get("FERRY_ENDPOINTS", "").split(",") if pair),
        )
