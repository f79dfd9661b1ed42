"""`ferry-admin client ...`."""

from __future__ import annotations

import argparse

from admin import clients
from admin.commands.options import Subparsers, add_command, add_group
from admin.connect import Connection
from admin.result import CommandResult, format_table, format_time
from ferry.model.auth import Client

_EPILOG = """\
a client is who asks for tokens: a device, a program, a tenant's back end. It sees the files of one namespace only.

a new secret without an outage:
  ferry-admin client rotate camera-7 --stack ferry            both secrets work now
  (bring the new one to the client)
  ferry-admin client rotate camera-7 --stack ferry --finish   the old one is over

a secret that has leaked:
  ferry-admin client disable camera-7 --stack ferry           its tokens stop within 60 seconds
  ferry-admin client rotate camera-7 --stack ferry --immediate
  ferry-admin client enable camera-7 --stack ferry
"""
_SHOWN_ONCE_NOTICE = "This is the only time the secret is shown: what is kept is its hash."


def register(subparsers: Subparsers) -> None:
    subcommands = add_group(
        subparsers, "client", "who may ask for tokens: add, list, show, rotate, disable, enable", _EPILOG
    )
    adding = add_command(subcommands, "add", "add a client and show its secret, once", _add)
    adding.add_argument("client_id", metavar="CLIENT")
    adding.add_argument("--namespace", required=True, help="whose files it sees; made by being named")
    adding.add_argument(
        "--scope",
        action="append",
        choices=clients.SCOPES,
        help="what it may do; may be given again (default: files:read and files:write)",
    )
    add_command(subcommands, "list", "list all clients", _list)
    showing = add_command(subcommands, "show", "show one client", _show)
    rotating = add_command(subcommands, "rotate", "give a client a new secret, beside the old one", _rotate)
    ends = rotating.add_mutually_exclusive_group()
    ends.add_argument("--finish", action="store_true", help="end the rotation: the older secret is over")
    ends.add_argument("--undo", action="store_true", help="end the rotation: the newer secret is over")
    ends.add_argument("--immediate", action="store_true", help="a new secret, and every other is over (it has leaked)")
    disabling = add_command(
        subcommands, "disable", "no new tokens, and the living ones stop within 60 seconds; again: those too", _disable
    )
    enabling = add_command(subcommands, "enable", "tokens again, from now on; those of before stay refused", _enable)
    for parser in (showing, rotating, disabling, enabling):
        parser.add_argument("client_id", metavar="CLIENT")


def _add(options: argparse.Namespace, connection: Connection) -> CommandResult:
    scopes = options.scope or ("files:read", "files:write")
    client, secret = clients.add(connection.context, options.client_id, options.namespace, scopes)
    return _result_with_secret(client, secret)


def _rotate(options: argparse.Namespace, connection: Connection) -> CommandResult:
    if options.finish or options.undo:
        client = clients.end_rotation(connection.context, options.client_id, undo=options.undo)
        which = "the newer one is over" if options.undo else "the older one is over"
        return CommandResult(to_dict(client), [f"{client.client_id} has one secret: {which}"])
    client, secret = clients.rotate(connection.context, options.client_id, immediate=options.immediate)
    note = "" if options.immediate else f"The old secret works too, until `client rotate {client.client_id} --finish`. "
    return _result_with_secret(client, secret, note)


def _result_with_secret(client: Client, secret: str, note: str = "") -> CommandResult:
    data = {**to_dict(client), "client_secret": secret}
    lines = [f"client_id      {client.client_id}", f"client_secret  {secret}"]
    lines += [f"namespace      {client.ns}", f"scope          {' '.join(sorted(client.scopes))}"]
    return CommandResult(data, lines, note + _SHOWN_ONCE_NOTICE)


def _list(_: argparse.Namespace, connection: Connection) -> CommandResult:
    found = list(connection.context.store.list_clients())
    rows = [
        (
            client.client_id,
            client.ns,
            " ".join(sorted(client.scopes)),
            _client_state(client),
            format_time(client.rotated_at) or "-",
        )
        for client in found
    ]
    lines = (
        format_table(("CLIENT", "NAMESPACE", "SCOPE", "STATE", "SECRET SINCE"), rows) if rows else ["no clients yet"]
    )
    return CommandResult([to_dict(client) for client in found], lines)


def _show(options: argparse.Namespace, connection: Connection) -> CommandResult:
    client = clients.get_client(connection.context, options.client_id)
    data = to_dict(client)
    return CommandResult(data, [f"{name:<13}  {'-' if value is None else value}" for name, value in data.items()])


def _disable(options: argparse.Namespace, connection: Connection) -> CommandResult:
    client = clients.disable(connection.context, options.client_id)
    said = f"{client.client_id} gets no tokens any more; those it has stop within 60 seconds"
    return CommandResult(to_dict(client), [said])


def _enable(options: argparse.Namespace, connection: Connection) -> CommandResult:
    client = clients.enable(connection.context, options.client_id)
    return CommandResult(
        to_dict(client), [f"{client.client_id} gets tokens again; within 60 seconds they work everywhere"]
    )


def to_dict(client: Client) -> dict[str, object]:
    """A client without its hashes."""
    return {
        "client_id": client.client_id,
        "namespace": client.ns,
        "scope": " ".join(sorted(client.scopes)),
        "state": _client_state(client),
        "secrets": len(client.secret_hashes),
        "created_at": format_time(client.created_at),
        "rotated_at": format_time(client.rotated_at),
    }


def _client_state(client: Client) -> str:
    if client.disabled:
        return "disabled"
    return "rotating" if len(client.secret_hashes) > 1 else "active"
