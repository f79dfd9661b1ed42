"""`ferry-admin key ...`."""

from __future__ import annotations

import argparse

from admin import keys, kms
from admin.commands.options import Subparsers, add_command, add_group
from admin.connect import Connection
from admin.errors import AdminError
from admin.result import CommandResult, format_table, format_time
from ferry.aws.kms import KmsSigner
from ferry.model.auth import PublicKey

_EPILOG = """\
a new signing key without a refused request; each step says when it is too early:
  ferry-admin key add --stack ferry               a new KMS key, published, not yet signing
  ferry-admin key activate NEW --stack ferry      after 5 minutes: it signs
  ferry-admin key retire OLD --stack ferry        after the token lifetime and 2 minutes: the old one is over
  aws kms schedule-key-deletion --key-id OLD-KEY  if it is of no other use

a key that must not be believed any more, whatever fails (every client needs a new token):
  ferry-admin key add, then activate NEW --immediate and retire OLD --immediate

back to the old key, as long as it is not retired:
  ferry-admin key activate OLD --stack ferry

KID may be cut short as long as it names one key; leave out a "-" that it begins with.
"""


def register(subparsers: Subparsers) -> None:
    subcommands = add_group(subparsers, "key", "which keys sign tokens: list, add, activate, retire", _EPILOG)
    add_command(subcommands, "list", "list the keys, and from when the next step may be taken", _list)
    adding = add_command(subcommands, "add", "make a KMS key and publish it, or publish one that is there", _add)
    adding.add_argument("--kms-key", metavar="KEY", help="the id, ARN or alias of an ECC_NIST_P256 key in KMS")
    activating = add_command(subcommands, "activate", "sign with a published key from now on", _activate)
    retiring = add_command(subcommands, "retire", "believe nothing any more that a key has signed", _retire)
    for parser in (activating, retiring):
        parser.add_argument("kid", metavar="KID")
        parser.add_argument("--immediate", action="store_true", help="do not wait: some requests will be refused")


def _list(_: argparse.Namespace, connection: Connection) -> CommandResult:
    keyring = keys.require_key_set(connection.context)
    found = list(keys.key_statuses(keyring, connection.target.token_ttl_seconds))
    following = {"published": "activate", "superseded": "retire", "signing": "-"}
    rows = [
        (each.key.kid, each.state, following[each.state], format_time(each.ready_at) or "-", each.key.key_ref)
        for each in found
    ]
    data = [{**to_dict(each.key), "state": each.state, "ready_at": format_time(each.ready_at)} for each in found]
    return CommandResult(data, format_table(("KID", "STATE", "NEXT", "FROM", "KMS KEY"), rows))


def _add(options: argparse.Namespace, connection: Connection) -> CommandResult:
    keys.require_key_set(connection.context)
    stack = connection.target.stack_name
    if options.kms_key:
        key_ref = kms.authorize_key(connection.kms, options.kms_key, stack)
    elif stack:
        key_ref = kms.create_key(connection.kms, stack)
    else:
        raise AdminError("a new key needs the stack's name", "say --stack NAME, or --kms-key KEY for one that is there")
    try:
        key = keys.add(connection.context, KmsSigner(connection.kms), key_ref)
    except Exception as error:
        error.add_note(f"the KMS key is there: `key add --kms-key {key_ref}` goes on with it")
        raise
    lines = [f"published  {key.kid}", f"KMS key    {key.key_ref}"]
    note = f"In {keys.ACTIVATION_DELAY_SECONDS // 60} minutes: ferry-admin key activate {key.kid.lstrip('-')}"
    if not stack:
        note += (
            f"\nThe token function must be allowed kms:Sign on {key.key_ref}: with --stack the key's tag sees to it."
        )
    return CommandResult(to_dict(key), lines, note)


def _activate(options: argparse.Namespace, connection: Connection) -> CommandResult:
    key = keys.activate(connection.context, options.kid, immediate=options.immediate)
    wait = connection.target.token_ttl_seconds + keys.RETIREMENT_DELAY_SECONDS
    note = f"In {wait} seconds the one before may be retired: ferry-admin key list"
    return CommandResult(to_dict(key), [f"{key.kid} signs, everywhere within 60 seconds"], note)


def _retire(options: argparse.Namespace, connection: Connection) -> CommandResult:
    key = keys.retire(
        connection.context,
        options.kid,
        token_ttl_seconds=connection.target.token_ttl_seconds,
        immediate=options.immediate,
    )
    note = f"Its private half is still in KMS: aws kms schedule-key-deletion --key-id {key.key_ref}"
    return CommandResult(to_dict(key), [f"{key.kid} is believed no more, everywhere within 60 seconds"], note)


def to_dict(key: PublicKey) -> dict[str, object]:
    return {
        "kid": key.kid,
        "kms_key": key.key_ref,
        "published_at": format_time(key.published_at),
        "superseded_at": format_time(key.superseded_at),
    }
