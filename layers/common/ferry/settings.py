"""Settings, read once from the environment of a function (template.yaml sets it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outside:
    """An issuer outside whose tokens are believed, and which of their claims are what here.

    `scope_prefix` is what the issuer puts before the names of scopes, and is taken away.
    """

    issuer: str
    jwks_url: str
    audiences: frozenset[str]
    audience_claim: str
    scope_claim: str
    scope_prefix: str
    namespace_claim: str

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Outside | None:
        """None where there is none. Raises `ValueError`: there is one, and it is not told all that must be known."""
        given = {
            name: environ.get(f"FERRY_OUTSIDE_{name.upper()}", "")
            for name in ("issuer", "jwks_url", "audience_claim", "scope_claim", "scope_prefix", "namespace_claim")
        }
        if not given["issuer"]:
            return None
        audiences = frozenset(each for each in environ.get("FERRY_OUTSIDE_AUDIENCE", "").split(",") if each)
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

    ledger_table: str
    access_table: str
    bucket: str
    signing_key: str
    token_lifetime: int
    session_idle: int
    session_max_age: int
    url_lifetime: int
    lease: int
    mending: int
    access_cache: int
    keep_objects: int
    cleanup_function: str
    most_waiting: int
    event_bus: str
    endpoints: Mapping[str, str]
    tracing: bool = False
    log_file_names: bool = False
    own_tokens: bool = True
    outside: Outside | None = None
    issuer: str = "ferry"
    audience: str = "ferry"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Raises `KeyError` naming the variable that is missing."""
        return cls(
            ledger_table=environ["FERRY_LEDGER_TABLE"],
            access_table=environ["FERRY_ACCESS_TABLE"],
            bucket=environ["FERRY_BUCKET"],
            signing_key=environ.get("FERRY_SIGNING_KEY", ""),
            token_lifetime=int(environ["FERRY_TOKEN_LIFETIME"]),
            session_idle=int(environ["FERRY_SESSION_IDLE_TIMEOUT"]) * 1000,
            session_max_age=int(environ["FERRY_SESSION_MAX_AGE"]) * 1000,
            url_lifetime=int(environ["FERRY_URL_LIFETIME"]),
            lease=int(environ["FERRY_LEASE"]) * 1000,
            mending=int(environ["FERRY_MENDING"]) * 1000,
            access_cache=int(environ.get("FERRY_ACCESS_CACHE", "45")) * 1000,
            keep_objects=int(environ.get("FERRY_ORPHAN_OBJECT_DAYS", "35")) * 86_400_000,
            cleanup_function=environ.get("FERRY_CLEANUP_FUNCTION", ""),
            most_waiting=int(environ.get("FERRY_MOST_WAITING", "0")),
            own_tokens=environ.get("FERRY_OWN_TOKENS", "true") == "true",
            outside=Outside.from_environment(environ),
            log_file_names=environ.get("FERRY_LOG_FILE_NAMES", "false") == "true",
            event_bus=environ.get("FERRY_EVENT_BUS", ""),
            tracing=environ.get("FERRY_TRACING", "Disabled") != "Disabled",
            endpoints=dict(pair.split("=", 1) for pair in environ.get("FERRY_ENDPOINTS", "").split(",") if pair),
        )
