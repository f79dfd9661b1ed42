"""`ferry-admin audit`."""

from __future__ import annotations

import argparse
from itertools import islice

from admin.commands.options import Subparsers, add_command
from admin.connect import Connection
from admin.ports import AuditEntry
from admin.result import CommandResult, format_table, format_time

_EPILOG = """\
every change that this program makes is written down in the same transaction: when, by whom, what, on whom.
What clients do is in the functions' logs (`"audit": true`).
"""


def register(subparsers: Subparsers) -> None:
    listing = add_command(subparsers, "audit", "what operators have done, the latest first", _list, _EPILOG)
    listing.add_argument("--limit", type=int, default=50, help="at most so many (default: 50)")


def _list(options: argparse.Namespace, connection: Connection) -> CommandResult:
    found = list(islice(connection.context.store.list_audit_entries(), max(options.limit, 0)))
    rows = [(format_time(act.occurred_at) or "-", act.event, act.subject, act.actor) for act in found]
    lines = format_table(("WHEN", "WHAT", "ON", "BY"), rows) if rows else ["nothing yet"]
    return CommandResult([to_dict(act) for act in found], lines)


def to_dict(entry: AuditEntry) -> dict[str, object]:
    """As the functions' own audit events are."""
    return {
        "audit": True,
        "time": format_time(entry.occurred_at),
        "event": entry.event,
        "actor": entry.actor,
        "outcome": "success",
        "subject": entry.subject,
        **entry.details,
    }
