"""`ferry-admin client ...`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from admin import clients
from admin.clients import client_state
from admin.commands.guard import guarded_result, run_guarded
from admin.commands.options import Subparsers, add_command, add_group, add_guard_options
from admin.result import CommandResult, format_pairs, format_table, format_time
from ferry.model.auth import Client

if TYPE_CHECKING:
    from admin.connect import Connection

_DETAILS = """\
A client asks for tokens: a device, a program, a tenant's back end. It has access to the files of one namespace.

examples:
  a new secret without an outage:
    ferry-admin client rotate camera-7 --stack ferry            both secrets work now
    (configure the new secret at the client)
    ferry-admin client rotate camera-7 --finish --stack ferry   the old secret stops working

  a secret that has leaked:
    ferry-admin client disable camera-7 --stack ferry           its tokens stop working within 60 seconds
    ferry-admin client rotate camera-7 --immediate --stack ferry
    ferry-admin client enable camera-7 --stack ferry
"""
_SHOWN_ONCE_NOTICE = "The secret is shown only now. Ferry stores its hash."


def register(subparsers: Subparsers) -> None:
    subcommands = add_group(subparsers, "client", "manage clients: add, list, show, rotate, disable, enable", _DETAILS)
    _register_add(subcommands)
    add_command(
        subcommands,
        "list",
        "list all clients",
        _list,
        examples=["ferry-admin client list --stack ferry", "ferry-admin client list --local --output json"],
    )
    show = add_command(
        subcommands, "show", "show one client", _show, examples=["ferry-admin client show camera-7 --stack ferry"]
    )
    rotate = _register_rotate(subcommands)
    disable = add_command(
        subcommands,
        "disable",
        "reject a client's secrets, and within 60 seconds its tokens",
        _disable,
        details="Repeating it also revokes tokens that were issued since.",
        examples=[
            "ferry-admin client disable camera-7 --stack ferry",
            "ferry-admin client disable camera-7 --stack ferry --dry-run",
            "ferry-admin client disable camera-7 --stack ferry --yes",
        ],
    )
    add_guard_options(disable, destructive=True)
    enable = add_command(
        subcommands,
        "enable",
        "accept a disabled client's secrets again; its earlier tokens stay revoked",
        _enable,
        examples=["ferry-admin client enable camera-7 --stack ferry"],
    )
    for parser in (show, rotate, disable, enable):
        parser.add_argument("client_id", metavar="CLIENT", help="the client's id")


def _register_add(subcommands: Subparsers) -> None:
    parser = add_command(
        subcommands,
        "add",
        "add a client and show its secret, once",
        _add,
        details="The secret is printed on stdout alone; everything else that is not the result goes to stderr.",
        examples=[
            "ferry-admin client add camera-7 --namespace acme --stack ferry",
            "ferry-admin client add viewer --namespace acme --scope files:read --stack ferry",
            "SECRET=$(ferry-admin client add ci --namespace acme --local --output json | jq -r .client_secret)",
        ],
    )
    parser.add_argument("client_id", metavar="CLIENT", help="the client's id: a name that you choose")
    parser.add_argument("--namespace", required=True, help="namespace of its files; it need not exist before")
    parser.add_argument(
        "--scope",
        action="append",
        choices=clients.SCOPES,
        help="what it may do; may be repeated (default: files:read and files:write)",
    )


def _register_rotate(subcommands: Subparsers) -> argparse.ArgumentParser:
    parser = add_command(
        subcommands,
        "rotate",
        "give a client a new secret; the old one works until --finish",
        _rotate,
        examples=[
            "ferry-admin client rotate camera-7 --stack ferry",
            "ferry-admin client rotate camera-7 --finish --stack ferry",
            "ferry-admin client rotate camera-7 --immediate --yes --stack ferry",
        ],
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--finish", action="store_true", help="end the rotation: drop the older secret")
    modes.add_argument("--undo", action="store_true", help="end the rotation: drop the newer secret")
    modes.add_argument("--immediate", action="store_true", help="set a new secret and drop all others (after a leak)")
    add_guard_options(parser, destructive=True)
    return parser


def _add(options: argparse.Namespace, connection: Connection) -> CommandResult:
    scopes = options.scope or ("files:read", "files:write")
    client, secret = clients.add(connection.context, options.client_id, options.namespace, scopes)
    return _result_with_secret(client, secret)


def _rotate(options: argparse.Namespace, connection: Connection) -> CommandResult:
    client_id = options.client_id
    if options.finish or options.undo:
        dropped = "newer" if options.undo else "older"
        client = run_guarded(
            options,
            connection,
            lambda context: clients.end_rotation(context, client_id, undo=options.undo),
            question=f"Drop the {dropped} secret of {client_id}?",
        )
        result = CommandResult(to_dict(client), [f"{client_id} has one secret; the {dropped} one is dropped"])
        return guarded_result(options, result)
    client, secret = run_guarded(
        options,
        connection,
        lambda context: clients.rotate(context, client_id, immediate=options.immediate),
        question=f"Drop all present secrets of {client_id}?" if options.immediate else "",
    )
    if options.dry_run:
        effect = "its other secrets are dropped" if options.immediate else "the old one keeps working"
        return guarded_result(options, CommandResult(to_dict(client), [f"{client_id} gets a new secret; {effect}"]))
    finish_command = f"ferry-admin client rotate {client_id} --finish {connection.target.option}"
    note = "" if options.immediate else f"The old secret works until: {finish_command}\n"
    return _result_with_secret(client, secret, note)


def _result_with_secret(client: Client, secret: str, note: str = "") -> CommandResult:
    data = {**to_dict(client), "client_secret": secret}
    lines = format_pairs(
        [
            ("client_id", client.client_id),
            ("client_secret", secret),
            ("namespace", client.ns),
            ("scope", " ".join(sorted(client.scopes))),
        ]
    )
    return CommandResult(data, lines, note + _SHOWN_ONCE_NOTICE)


def _list(_: argparse.Namespace, connection: Connection) -> CommandResult:
    found = list(connection.context.store.list_clients())
    lines = format_client_table(found) if found else ["no clients; `ferry-admin client add` adds one"]
    return CommandResult([to_dict(client) for client in found], lines)


def _show(options: argparse.Namespace, connection: Connection) -> CommandResult:
    data = to_dict(clients.get_client(connection.context, options.client_id))
    return CommandResult(data, format_pairs([*data.items()]))


def _disable(options: argparse.Namespace, connection: Connection) -> CommandResult:
    client = run_guarded(
        options,
        connection,
        lambda context: clients.disable(context, options.client_id),
        question=f"Disable {options.client_id}? Its tokens stop working within 60 seconds.",
    )
    line = f"{client.client_id} is disabled; its tokens stop working within 60 seconds"
    return guarded_result(options, CommandResult(to_dict(client), [line]))


def _enable(options: argparse.Namespace, connection: Connection) -> CommandResult:
    client = clients.enable(connection.context, options.client_id)
    line = f"{client.client_id} is enabled; its new tokens work everywhere within 60 seconds"
    return CommandResult(to_dict(client), [line])


def format_client_table(found: list[Client]) -> list[str]:
    """Return the lines of a table of clients."""
    rows = [
        (
            client.client_id,
            client.ns,
            " ".join(sorted(client.scopes)),
            client_state(client),
            format_time(client.rotated_at) or "-",
        )
        for client in found
    ]
    return format_table(("CLIENT", "NAMESPACE", "SCOPE", "STATE", "SECRET SINCE"), rows)


def to_dict(client: Client) -> dict[str, object]:
    """Return the client without its secret hashes."""
    return {
        "client_id": client.client_id,
        "namespace": client.ns,
        "scope": " ".join(sorted(client.scopes)),
        "state": client_state(client),
        "secrets": len(client.secret_hashes),
        "created_at": format_time(client.created_at),
        "rotated_at": format_time(client.rotated_at),
    }
