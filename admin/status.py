"""The status of a stack: version, clients, keys, quotas, events, alarms, and what to do next."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from admin import keys, kms
from admin.clients import client_state
from admin.connect import Connection, Target
from admin.errors import AdminError
from admin.keys import KeyStatus
from ferry import __version__
from ferry.aws.errors import error_code
from ferry.model.auth import Client
from ferry.model.quotas import Quota
from ferry.rules.durations import DAY_MS

ALARMS = (
    "server-errors",
    "function-errors",
    "function-throttles",
    "upload-latency",
    "download-latency",
    "metadata-table-throttles",
    "dead-letters",
    "stale-uploads",
    "resumed-completions",
)
"""Names of monitoring.yaml's alarms, after the stack's name and a hyphen."""
MAX_NAMESPACES = 1_000
"""Namespaces whose quotas are read, in the order of their names."""
KEY_ROTATION_DAYS = 365
"""Age in days from which a new signing key is suggested."""
QUOTA_WARNING_RATIO = 0.9
"""Share of a limit from which its usage is worth a hint."""
HEALTH_TIMEOUT_SECONDS = 5.0

_UNREADABLE = "not readable"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A published key."""

    status: KeyStatus
    """Its state and next step."""
    created_at: int
    """When KMS created it, in epoch milliseconds; 0 if unknown."""
    age_days: int | None
    """Whole days since then; None if unknown."""


@dataclass(frozen=True, slots=True)
class StackStatus:
    """What `ferry-admin status` shows. None means that it could not be read, or does not exist at this target."""

    admin_version: str
    """Version of this program."""
    service_version: str | None
    """Version that the service reports at GET /health."""
    health: str
    """`ok`, `unreachable`, or `unknown` if the target does not have the service's address."""
    clients: dict[str, int]
    """Number of clients by state: `active`, `rotating`, `disabled`."""
    rotating_clients: Sequence[str]
    """Ids of the clients with two secrets."""
    signing_keys: Sequence[SigningKey]
    """The published keys; empty before the first token."""
    quotas: dict[str, Quota] | None
    """Quotas of the clients' namespaces."""
    events_enabled: bool | None
    """Whether events are published."""
    alarms: dict[str, str] | None
    """State of each alarm by name: `OK`, `ALARM`, `INSUFFICIENT_DATA`."""
    alarms_error: str | None
    """Why the alarms could not be read."""
    next_steps: Sequence[str]
    """What to do next, each with the command."""


def read_status(connection: Connection) -> StackStatus:
    """Read the status. Raises `BackendUnavailable` if the auth table cannot be read."""
    clients = list(connection.context.store.list_clients())
    signing_keys = list(_read_keys(connection))
    quotas = _read_quotas(connection, clients)
    health, service_version = _read_health(connection)
    alarms, alarms_error = _read_alarms(connection)
    enabled = connection.target.parameters.get("EnableEvents")
    states = Counter(client_state(client) for client in clients)
    steps = [
        *_client_steps(clients),
        *_key_steps(signing_keys, connection.context.clock()),
        *_quota_steps(quotas or {}),
        *_alarm_steps(alarms or {}),
        *health_steps(health, connection.target),
    ]
    return StackStatus(
        admin_version=__version__,
        service_version=service_version,
        health=health,
        clients={state: states[state] for state in ("active", "rotating", "disabled")},
        rotating_clients=[client.client_id for client in clients if client_state(client) == "rotating"],
        signing_keys=signing_keys,
        quotas=quotas,
        events_enabled=None if enabled is None else enabled == "true",
        alarms=alarms,
        alarms_error=alarms_error,
        next_steps=[_with_target(step, connection.target.option) for step in steps],
    )


def _read_keys(connection: Connection) -> Iterator[SigningKey]:
    key_set = connection.context.store.get_key_set()
    if key_set is None:
        return
    now = connection.context.clock()
    for status in keys.key_statuses(key_set, connection.target.token_ttl_seconds):
        created_at = kms.creation_time(connection.kms, status.key.key_ref) or status.key.published_at
        age_days = max(0, now - created_at) // DAY_MS if created_at else None
        yield SigningKey(status, created_at, age_days)


def _read_quotas(connection: Connection, clients: Sequence[Client]) -> dict[str, Quota] | None:
    namespaces = sorted({client.ns for client in clients})[:MAX_NAMESPACES]
    try:
        quotas = connection.quota_store.get_quotas(namespaces)
    except AdminError:
        return None
    return dict(sorted(quotas.items()))


def _read_health(connection: Connection) -> tuple[str, str | None]:
    """Return `health` and `service_version`."""
    url = connection.target.outputs.get("ApiUrl")
    if url is None:
        return "unknown", None
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=HEALTH_TIMEOUT_SECONDS) as response:
            return "ok", str(json.load(response)["version"])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return "unreachable", None


def health_steps(health: str, target: Target) -> Iterator[str]:
    """Yield what to check if the API is unreachable."""
    if health != "unreachable":
        return
    if target.endpoint_url is None:
        yield "the API does not respond: check the stack's status and its log group"
    else:
        yield "the service does not respond: check that `make run` is still running"


def _read_alarms(connection: Connection) -> tuple[dict[str, str] | None, str | None]:
    """Return `alarms` and `alarms_error`."""
    target = connection.target
    if target.endpoint_url is not None or not target.stack_name:
        return None, None
    names = [f"{target.stack_name}-{name}" for name in ALARMS]
    try:
        found = connection.cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    except ClientError as error:
        return None, f"{_UNREADABLE}: {error_code(error)}"
    except BotoCoreError as error:
        return None, f"{_UNREADABLE}: {type(error).__name__}"
    return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}, None


def _client_steps(clients: Sequence[Client]) -> Iterator[str]:
    if not clients:
        yield "no client yet: ferry-admin client add NAME --namespace NAMESPACE"
    for client in clients:
        if client_state(client) == "rotating":
            yield f"{client.client_id} has two secrets: ferry-admin client rotate {client.client_id} --finish"


def _key_steps(signing_keys: Sequence[SigningKey], now: int) -> Iterator[str]:
    if not signing_keys:
        yield "no signing key yet: request a token, or GET /.well-known/jwks.json"
    for key in signing_keys:
        kid, status = key.status.key.kid, key.status
        if status.next_step and status.ready_at <= now:
            short = kid.lstrip("-")[:8]
            yield f"key {kid} is {status.state} and ready: ferry-admin key {status.next_step} {short}"
        if status.state == "signing" and (key.age_days or 0) >= KEY_ROTATION_DAYS and len(signing_keys) == 1:
            yield f"the signing key is {key.age_days} days old: ferry-admin key add"


def _quota_steps(quotas: dict[str, Quota]) -> Iterator[str]:
    for ns, quota in quotas.items():
        usages = ((quota.used_bytes, quota.max_bytes), (quota.open_uploads, quota.max_uploads))
        if any(limit is not None and used >= limit * QUOTA_WARNING_RATIO for used, limit in usages):
            yield f"{ns} has almost used up its quota: ferry-admin quota show {ns}"


def _alarm_steps(alarms: dict[str, str]) -> Iterator[str]:
    for name, state in alarms.items():
        if state == "ALARM":
            yield f"{name} is in ALARM: see docs/operations.md"
        # Only this alarm needs data. Others have none while nothing is requested.
        elif state == "INSUFFICIENT_DATA" and name.endswith("-stale-uploads"):
            yield (
                f"{name} has no data: the cleanup has not run for 75 minutes, unless the stack is new: "
                "see docs/operations.md"
            )


def _with_target(step: str, option: str) -> str:
    return f"{step} {option}" if "ferry-admin" in step else step
