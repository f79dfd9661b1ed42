"""`ferry-admin status`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from admin.commands import quota as quota_commands
from admin.commands.options import Subparsers, add_command
from admin.result import CommandResult, format_pairs, format_size, format_table, format_time

if TYPE_CHECKING:
    from admin.connect import Connection, Target
    from admin.status import SigningKey, StackStatus
    from ferry.model.quotas import Quota

_DETAILS = """\
Shows the version, the number of clients, the signing keys and their ages, quotas, events, alarms, and what to do next.
What cannot be read is shown as `-`, in JSON as null."""


def register(subparsers: Subparsers) -> None:
    add_command(
        subparsers,
        "status",
        "show the status of a stack and what to do next",
        _show,
        details=_DETAILS,
        examples=["ferry-admin status --stack ferry", "ferry-admin status --local --output json"],
    )


def _show(_: argparse.Namespace, connection: Connection) -> CommandResult:
    from admin.status import read_status

    status = read_status(connection)
    return CommandResult(to_dict(connection.target, status), list(_format(connection.target, status)))


def to_dict(target: Target, status: StackStatus) -> dict[str, object]:
    """Return the status as JSON shows it."""
    return {
        "stack": target.stack_name or None,
        "stack_status": target.stack_status or None,
        "api_url": target.outputs.get("ApiUrl"),
        "health": status.health,
        "version": {"service": status.service_version, "ferry_admin": status.admin_version},
        "clients": status.clients,
        "rotating_clients": list(status.rotating_clients),
        "signing_keys": [_key_to_dict(key) for key in status.signing_keys],
        "quotas": None
        if status.quotas is None
        else [quota_commands.to_dict(ns, quota) for ns, quota in status.quotas.items()],
        "events": {"enabled": status.events_enabled, "bus": target.outputs.get("EventBusName")},
        "alarms": status.alarms,
        "alarms_error": status.alarms_error,
        "next_steps": list(status.next_steps),
    }


def _key_to_dict(key: SigningKey) -> dict[str, object]:
    return {
        "kid": key.status.key.kid,
        "state": key.status.state,
        "kms_key": key.status.key.key_ref,
        "created_at": format_time(key.created_at),
        "age_days": key.age_days,
        "next_step": key.status.next_step,
        "ready_at": format_time(key.status.ready_at),
    }


def _format(target: Target, status: StackStatus) -> Iterator[str]:
    clients = ", ".join(f"{number} {state}" for state, number in status.clients.items())
    yield from format_pairs(
        [
            ("stack", f"{target.stack_name} {target.stack_status}".strip() or None),
            ("api", f"{target.outputs.get('ApiUrl', '-')} ({status.health})"),
            ("version", f"service {status.service_version or '-'}, ferry-admin {status.admin_version}"),
            ("clients", clients),
            ("events", _format_events(target, status)),
            ("alarms", _format_alarms(status)),
        ]
    )
    if status.signing_keys:
        yield from ("", *_key_table(status.signing_keys))
    if status.quotas:
        yield from ("", *_quota_table(status.quotas))
    if status.next_steps:
        yield from ("", "next steps:", *(f"  {step}" for step in status.next_steps))


def _key_table(signing_keys: Sequence[SigningKey]) -> list[str]:
    rows = [
        (
            key.status.key.kid,
            key.status.state,
            "-" if key.age_days is None else f"{key.age_days} d",
            key.status.next_step or "-",
            format_time(key.status.ready_at) or "-",
        )
        for key in signing_keys
    ]
    return format_table(("KEY", "STATE", "AGE", "NEXT", "FROM"), rows)


def _quota_table(quotas: Mapping[str, Quota]) -> list[str]:
    rows = [
        (
            ns,
            quota_commands.format_usage(quota.used_bytes, quota.max_bytes, format_size),
            quota_commands.format_usage(quota.open_uploads, quota.max_uploads),
            quota_commands.format_limit(quota.max_file_bytes, format_size),
        )
        for ns, quota in quotas.items()
    ]
    return format_table(("NAMESPACE", "BYTES", "UPLOADS", "FILE"), rows)


def _format_events(target: Target, status: StackStatus) -> str | None:
    if status.events_enabled is None:
        return None
    return f"published to {target.outputs.get('EventBusName', 'events.jsonl')}" if status.events_enabled else "disabled"


def _format_alarms(status: StackStatus) -> str | None:
    if status.alarms is None:
        return status.alarms_error
    raised = [name for name, state in status.alarms.items() if state == "ALARM"]
    silent = sum(state == "INSUFFICIENT_DATA" for state in status.alarms.values())
    counts = f"{len(raised)} of {len(status.alarms)} in ALARM" + (f", {silent} without data" if silent else "")
    return counts + (f": {', '.join(raised)}" if raised else "")
