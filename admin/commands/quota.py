"""`ferry-admin quota ...`."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict

from admin.commands.options import Groups, command, group
from admin.connect import Connection
from admin.errors import AdminError
from admin.outcome import Outcome
from ferry.aws.ledger import DynamoLedger
from ferry.aws.quotas import DynamoQuotas
from ferry.model import Quota
from ferry.quotas import recount

_EPILOG = """\
what a namespace may have: the bytes of its files and open uploads, its uploads in progress, the size of one file.
A limit holds from the next start on, and takes nothing away.

  ferry-admin quota set acme --bytes 500GiB --uploads 20 --file 50GiB --stack ferry
  ferry-admin quota recount acme --stack ferry    counts what is there already; again after a minute
  ferry-admin quota show acme --stack ferry
  ferry-admin quota set acme --stack ferry        sets no limit: all are lifted
"""
_UNITS = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE = re.compile(r"(\d{1,18})\s*([a-z]*)", re.IGNORECASE | re.ASCII)
_MOST = 10**18


def register(groups: Groups) -> None:
    subcommands = group(groups, "quota", "what a namespace may have: set, show, recount", _EPILOG)
    setting = command(subcommands, "set", "set all limits of a namespace; what is not given is not limited", _set)
    setting.add_argument("--bytes", type=size, metavar="SIZE", help="of files and open uploads together (500GiB)")
    setting.add_argument("--uploads", type=count, metavar="NUMBER", help="uploads in progress")
    setting.add_argument("--file", type=size, metavar="SIZE", help="of one file")
    showing = command(subcommands, "show", "show the limits of a namespace, and what is counted", _show)
    counting = command(subcommands, "recount", "count what was there before the limit; may be repeated", _recount)
    for parser in (setting, showing, counting):
        parser.add_argument("namespace", metavar="NAMESPACE")


def size(text: str) -> int:
    """Bytes, or with a unit of 1024. Raises `argparse.ArgumentTypeError`."""
    found = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or int(found[1]) * unit > _MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write bytes, or KiB, MiB, GiB, TiB")
    return int(found[1]) * unit


def count(text: str) -> int:
    """Raises `argparse.ArgumentTypeError`."""
    if not (text.isascii() and text.isdigit() and int(text) <= _MOST):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)


def _set(options: argparse.Namespace, connection: Connection) -> Outcome:
    limits = {"bytes": options.bytes, "uploads": options.uploads, "file": options.file}
    told = {name: str(limit) for name, limit in limits.items() if limit is not None}
    quotas = _quotas(connection)
    quotas.quota(options.namespace)
    # In another table than the limits: noted first, so that no limit is set that nobody is named for.
    connection.desk.registry.commit(connection.desk.act("quota.set", options.namespace, **told))
    quota = quotas.limit(options.namespace, max_bytes=options.bytes, max_uploads=options.uploads, max_file=options.file)
    note = f"What is there already is counted by `quota recount {options.namespace}`." if quota.counts else ""
    return _described(options.namespace, quota, note)


def _show(options: argparse.Namespace, connection: Connection) -> Outcome:
    return _described(options.namespace, _found(options, connection))


def _recount(options: argparse.Namespace, connection: Connection) -> Outcome:
    if not _found(options, connection).counts:
        raise AdminError(
            f"{options.namespace} has no limit that is counted for", "`quota set` with --bytes or --uploads"
        )
    connection.desk.registry.commit(connection.desk.act("quota.recount", options.namespace))
    ledger = DynamoLedger(connection.dynamodb, connection.resource("LedgerTableName"))
    done = recount(ledger, _quotas(connection), options.namespace)
    said = [f"counted: {done.files} files, {done.uploads} uploads that were not; left out: {done.left_out}"]
    again = "What was left out is being completed or has just changed: recount again." if done.left_out else ""
    return Outcome({"namespace": options.namespace, **asdict(done)}, said, again)


def _quotas(connection: Connection) -> DynamoQuotas:
    return DynamoQuotas(connection.dynamodb, connection.resource("LedgerTableName"))


def _found(options: argparse.Namespace, connection: Connection) -> Quota:
    quota = _quotas(connection).quota(options.namespace)
    if quota is None:
        raise AdminError(f"{options.namespace} has no quota", "`ferry-admin quota set` gives it one")
    return quota


def _described(ns: str, quota: Quota, note: str = "") -> Outcome:
    data = {
        "namespace": ns,
        "bytes": {"limit": quota.max_bytes, "used": quota.bytes},
        "uploads": {"limit": quota.max_uploads, "used": quota.uploads},
        "file": {"limit": quota.max_file},
    }
    lines = [
        f"namespace  {ns}",
        f"bytes      {quota.bytes} of {_limit(quota.max_bytes)}",
        f"uploads    {quota.uploads} of {_limit(quota.max_uploads)}",
        f"file       at most {_limit(quota.max_file)}",
    ]
    return Outcome(data, lines, note)


def _limit(limit: int | None) -> str:
    return "no limit" if limit is None else str(limit)
