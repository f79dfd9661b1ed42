"""`ferry-admin audit`."""

from __future__ import annotations

import argparse
from itertools import islice

from admin.commands.options import Groups, command
from admin.connect import Connection
from admin.outcome import Outcome, moment, table
from admin.registry import Act

_EPILOG = """\
every change that this program makes is written down in the same transaction: when, by whom, what, on whom.
What clients do is in the functions' logs (`"audit": true`).
"""


def register(groups: Groups) -> None:
    listing = command(groups, "audit", "what operators have done, the latest first", _list, _EPILOG)
    listing.add_argument("--limit", type=int, default=50, help="at most so many (default: 50)")


def _list(options: argparse.Namespace, connection: Connection) -> Outcome:
    found = list(islice(connection.desk.registry.acts(), max(options.limit, 0)))
    rows = [(moment(act.at) or "-", act.event, act.subject, act.actor) for act in found]
    lines = table(("WHEN", "WHAT", "ON", "BY"), rows) if rows else ["nothing yet"]
    return Outcome([described(act) for act in found], lines)


def described(act: Act) -> dict[str, object]:
    """As the functions' own audit events are."""
    return {
        "audit": True,
        "time": moment(act.at),
        "event": act.event,
        "actor": act.actor,
        "outcome": "success",
        "subject": act.subject,
        **act.details,
    }
