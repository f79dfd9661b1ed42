"""Settings, read once from the environment of a function (template.yaml sets it)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Typed settings. Durations are seconds, but for `session_idle` and `session_max_age`, milliseconds."""

    ledger_table: str
    access_table: str
    bucket: str
    signing_key: str
    token_lifetime: int
    session_idle: int
    session_max_age: int
    url_lifetime: int
    endpoints: Mapping[str, str]
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
            endpoints=dict(pair.split("=", 1) for pair in environ.get("FERRY_ENDPOINTS", "").split(",") if pair),
        )
