"""`ferry-admin client ...`."""

from __future__ import annotations

import argparse

from admin import clients
from admin.commands.options import Groups, command, group
from admin.connect import Connection
from admin.outcome import Outcome, moment, table
from ferry.trust import Client

_EPILOG = """\
a client is who asks for tokens: a device, a program, a tenant's back end. It sees the files of one namespace only.

a new secret without an outage:
  ferry-admin client rotate camera-7 --stack ferry            both secrets work now
  (bring the new one to the client)
  ferry-admin client rotate camera-7 --stack ferry --finish   the old one is over

a secret that has leaked:
  ferry-admin client disable camera-7 --stack ferry           its tokens stop within 60 seconds
  ferry-admin client rotate camera-7 --stack ferry --at-once
  ferry-admin client enable camera-7 --stack ferry
"""
_ONCE = "This is the only time the secret is shown: what is kept is its hash."


def register(groups: Groups) -> None:
    subcommands = group(groups, "client", "who may ask for tokens: add, list, show, rotate, disable, enable", _EPILOG)
    adding = command(subcommands, "add", "add a client and show its secret, once", _add)
    adding.add_argument("client_id", metavar="CLIENT")
    adding.add_argument("--namespace", required=True, help="whose files it sees; made by being named")
    adding.add_argument(
        "--scope",
        action="append",
        choices=clients.SCOPES,
        help="what it may do; may be given again (default: files:read and files:write)",
    )
    command(subcommands, "list", "list all clients", _list)
    showing = command(subcommands, "show", "show one client", _show)
    rotating = command(subcommands, "rotate", "give a client a new secret, beside the old one", _rotate)
    ends = rotating.add_mutually_exclusive_group()
    ends.add_argument("--finish", action="store_true", help="end the rotation: the older secret is over")
    ends.add_argument("--undo", action="store_true", help="end the rotation: the newer secret is over")
    ends.add_argument("--at-once", action="store_true", help="a new secret, and every other is over (it has leaked)")
    disabling = command(
        subcommands, "disable", "no new tokens, and the living ones stop within 60 seconds; again: those too", _disable
    )
    enabling = command(subcommands, "enable", "tokens again, from now on; those of before stay refused", _enable)
    for parser in (showing, rotating, disabling, enabling):
        parser.add_argument("client_id", metavar="CLIENT")


def _add(options: argparse.Namespace, connection: Connection) -> Outcome:
    scopes = options.scope or ("files:read", "files:write")
    client, secret = clients.add(connection.desk, options.client_id, options.namespace, scopes)
    return _with_secret(client, secret)


def _rotate(options: argparse.Namespace, connection: Connection) -> Outcome:
    if options.finish or options.undo:
        client = clients.end_rotation(connection.desk, options.client_id, undo=options.undo)
        which = "the newer one is over" if options.undo else "the older one is over"
        return Outcome(described(client), [f"{client.client_id} has one secret: {which}"])
    client, secret = clients.rotate(connection.desk, options.client_id, at_once=options.at_once)
    note = "" if options.at_once else f"The old secret works too, until `client rotate {client.client_id} --finish`. "
    return _with_secret(client, secret, note)


def _with_secret(client: Client, secret: str, note: str = "") -> Outcome:
    data = {**described(client), "client_secret": secret}
    lines = [f"client_id      {client.client_id}", f"client_secret  {secret}"]
    lines += [f"namespace      {client.ns}", f"scope          {' '.join(sorted(client.scopes))}"]
    return Outcome(data, lines, note + _ONCE)


def _list(_: argparse.Namespace, connection: Connection) -> Outcome:
    found = list(connection.desk.registry.clients())
    rows = [
        (client.client_id, client.ns, " ".join(sorted(client.scopes)), _state(client), moment(client.rotated_at) or "-")
        for client in found
    ]
    lines = table(("CLIENT", "NAMESPACE", "SCOPE", "STATE", "SECRET SINCE"), rows) if rows else ["no clients yet"]
    return Outcome([described(client) for client in found], lines)


def _show(options: argparse.Namespace, connection: Connection) -> Outcome:
    client = clients.find(connection.desk, options.client_id)
    data = described(client)
    return Outcome(data, [f"{name:<13}  {'-' if value is None else value}" for name, value in data.items()])


def _disable(options: argparse.Namespace, connection: Connection) -> Outcome:
    client = clients.disable(connection.desk, options.client_id)
    said = f"{client.client_id} gets no tokens any more; those it has stop within 60 seconds"
    return Outcome(described(client), [said])


def _enable(options: argparse.Namespace, connection: Connection) -> Outcome:
    client = clients.enable(connection.desk, options.client_id)
    return Outcome(described(client), [f"{client.client_id} gets tokens again; within 60 seconds they work everywhere"])


def described(client: Client) -> dict[str, object]:
    """A client without its hashes."""
    return {
        "client_id": client.client_id,
        "namespace": client.ns,
        "scope": " ".join(sorted(client.scopes)),
        "state": _state(client),
        "secrets": len(client.secret_hashes),
        "created_at": moment(client.created_at),
        "rotated_at": moment(client.rotated_at),
    }


def _state(client: Client) -> str:
    if client.disabled:
        return "disabled"
    return "rotating" if len(client.secret_hashes) > 1 else "active"
