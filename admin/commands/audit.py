"""`ferry-admin audit`."""

from __future__ import annotations

import argparse
from itertools import islice
from typing import TYPE_CHECKING

from admin.commands.options import Subparsers, add_command
from admin.ports import AuditEntry
from admin.result import CommandResult, format_table, format_time

if TYPE_CHECKING:
    from admin.connect import Connection

_DETAILS = """\
Every change by ferry-admin is recorded in the same transaction as the change itself. What clients do is in the
functions' logs (`"audit": true`)."""


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "audit",
        "show what operators have changed, latest first",
        _list,
        details=_DETAILS,
        examples=["ferry-admin audit --stack ferry", "ferry-admin audit --limit 10 --local --output json"],
    )
    parser.add_argument(
        "--limit", type=_parse_limit, default=50, metavar="NUMBER", help="entries at most (default: 50)"
    )


def _parse_limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of entries: give 1 or more")
    return int(text)


def _list(options: argparse.Namespace, connection: Connection) -> CommandResult:
    entries = list(islice(connection.context.store.list_audit_entries(), options.limit))
    rows = [(format_time(entry.occurred_at) or "-", entry.event, entry.subject, entry.actor) for entry in entries]
    lines = format_table(("TIME", "EVENT", "SUBJECT", "ACTOR"), rows) if rows else ["no entries"]
    return CommandResult([to_dict(entry) for entry in entries], lines)


def to_dict(entry: AuditEntry) -> dict[str, object]:
    """Return the entry in the shape of the functions' audit events."""
    return {
        "audit": True,
        "time": format_time(entry.occurred_at),
        "event": entry.event,
        "actor": entry.actor,
        "outcome": "success",
        "subject": entry.subject,
        **entry.details,
    }
