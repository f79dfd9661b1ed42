"""`ferry-admin key ...`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from admin import keys
from admin.commands.guard import guarded_result, run_guarded
from admin.commands.options import Subparsers, add_command, add_group, add_guard_options
from admin.errors import AdminError
from admin.result import CommandResult, format_pairs, format_table, format_time
from ferry.model.auth import PublicKey

if TYPE_CHECKING:
    from admin.connect import Connection

_DETAILS = """\
KID may be shortened as long as it names one key. Leave out a "-" at its beginning.

examples:
  a new signing key without a rejected request; each step says when it is too early:
    ferry-admin key add --stack ferry               create a KMS key and publish it
    ferry-admin key activate NEW --stack ferry      after 5 minutes: sign with it
    ferry-admin key retire OLD --stack ferry        after the token lifetime and 2 minutes: reject the old key
    aws kms schedule-key-deletion --key-id OLD-KEY  if nothing else uses it

  a key that has leaked; every client needs a new token:
    ferry-admin key add --stack ferry
    ferry-admin key activate NEW --immediate --stack ferry
    ferry-admin key retire OLD --immediate --stack ferry

  back to the old key, until it is retired:
    ferry-admin key activate OLD --stack ferry
"""


def register(subparsers: Subparsers) -> None:
    subcommands = add_group(
        subparsers, "key", "manage the keys that sign tokens: list, add, activate, retire", _DETAILS
    )
    add_command(
        subcommands,
        "list",
        "list the published keys and when each one's next step is due",
        _list,
        examples=["ferry-admin key list --stack ferry", "ferry-admin key list --local --output json"],
    )
    add = add_command(
        subcommands,
        "add",
        "create a KMS key and publish it, or publish an existing one",
        _add,
        examples=["ferry-admin key add --stack ferry", "ferry-admin key add --kms-key alias/tokens --stack ferry"],
    )
    add.add_argument("--kms-key", metavar="KEY", help="id, ARN or alias of an ECC_NIST_P256 key in KMS")
    _add_rotation_commands(subcommands)


def _add_rotation_commands(subcommands: Subparsers) -> None:
    """Add the commands that change the state of a published key."""
    activate = add_command(
        subcommands,
        "activate",
        "sign new tokens with a published key",
        _activate,
        examples=[
            "ferry-admin key activate Xq3f --stack ferry",
            "ferry-admin key activate Xq3f --immediate --yes --stack ferry",
        ],
    )
    retire = add_command(
        subcommands,
        "retire",
        "reject every token that a key has signed",
        _retire,
        examples=[
            "ferry-admin key retire Xq3f --stack ferry",
            "ferry-admin key retire Xq3f --stack ferry --dry-run",
            "ferry-admin key retire Xq3f --immediate --yes --stack ferry",
        ],
    )
    for parser in (activate, retire):
        parser.add_argument("kid", metavar="KID", help="the key's id, or its beginning")
        parser.add_argument("--immediate", action="store_true", help="do not wait; some requests get a 401")
        add_guard_options(parser, destructive=True)


def _list(_: argparse.Namespace, connection: Connection) -> CommandResult:
    key_set = keys.require_key_set(connection.context)
    statuses = list(keys.key_statuses(key_set, connection.target.token_ttl_seconds))
    rows = [
        (each.key.kid, each.state, each.next_step or "-", format_time(each.ready_at) or "-", each.key.key_ref)
        for each in statuses
    ]
    data = [{**to_dict(each.key), "state": each.state, "ready_at": format_time(each.ready_at)} for each in statuses]
    return CommandResult(data, format_table(("KID", "STATE", "NEXT", "FROM", "KMS KEY"), rows))


def _add(options: argparse.Namespace, connection: Connection) -> CommandResult:
    from admin import kms
    from ferry.aws.kms import KmsSigner

    keys.require_key_set(connection.context)
    stack = connection.target.stack_name
    if options.kms_key:
        key_ref = kms.authorize_key(connection.kms, options.kms_key, stack)
    elif stack:
        key_ref = kms.create_key(connection.kms, stack)
    else:
        raise AdminError(
            "a new key needs the stack's name", "use --stack NAME, or --kms-key KEY to publish an existing key"
        )
    try:
        key = keys.add(connection.context, KmsSigner(connection.kms), key_ref)
    except Exception as error:
        error.add_note(f"the KMS key exists: `key add --kms-key {key_ref}` continues with it")
        raise
    command = f"ferry-admin key activate {key.kid.lstrip('-')} {connection.target.option}"
    note = f"In {keys.ACTIVATION_DELAY_SECONDS // 60} minutes: {command}"
    if not stack:
        note += f"\nAllow the auth function kms:Sign on {key.key_ref}. With --stack, the key's tag allows it."
    return CommandResult(to_dict(key), format_pairs([("published", key.kid), ("KMS key", key.key_ref)]), note)


def _activate(options: argparse.Namespace, connection: Connection) -> CommandResult:
    key = run_guarded(
        options,
        connection,
        lambda context: keys.activate(context, options.kid, immediate=options.immediate),
        question=f"Sign with {options.kid} at once? Some requests get a 401 for a minute." if options.immediate else "",
    )
    wait = connection.target.token_ttl_seconds + keys.RETIREMENT_DELAY_SECONDS
    note = f"In {wait} seconds the previous key can be retired: ferry-admin key list {connection.target.option}"
    return guarded_result(
        options, CommandResult(to_dict(key), [f"{key.kid} signs new tokens, everywhere within 60 seconds"], note)
    )


def _retire(options: argparse.Namespace, connection: Connection) -> CommandResult:
    key = run_guarded(
        options,
        connection,
        lambda context: keys.retire(
            context,
            options.kid,
            token_ttl_seconds=connection.target.token_ttl_seconds,
            immediate=options.immediate,
        ),
        question=f"Reject every token that {options.kid} has signed?",
    )
    note = f"Its private key is still in KMS: aws kms schedule-key-deletion --key-id {key.key_ref}"
    return guarded_result(
        options, CommandResult(to_dict(key), [f"{key.kid} is retired; its tokens are rejected within 60 seconds"], note)
    )


def to_dict(key: PublicKey) -> dict[str, object]:
    """Return the key without its public half."""
    return {
        "kid": key.kid,
        "kms_key": key.key_ref,
        "published_at": format_time(key.published_at),
        "superseded_at": format_time(key.superseded_at),
    }
