"""`ferry-admin quota ...`."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict

from admin.commands.options import Subparsers, add_command, add_group
from admin.connect import Connection
from admin.errors import AdminError
from admin.quota_store import DynamoQuotaStore
from admin.recount import recount
from admin.result import CommandResult
from ferry.aws.dynamo import Table
from ferry.aws.upload_repository import DynamoUploadRepository
from ferry.model.quotas import Quota

_EPILOG = """\
what a namespace may have: the bytes of its files and open uploads, its uploads in progress, the size of one file.
A limit holds from the next start on, and takes nothing away.

  ferry-admin quota set acme --bytes 500GiB --uploads 20 --file 50GiB --stack ferry
  ferry-admin quota recount acme --stack ferry    counts what is there already; again after a minute
  ferry-admin quota show acme --stack ferry
  ferry-admin quota set acme --stack ferry        sets no limit: all are lifted
"""
_UNITS = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE_PATTERN = re.compile(r"(\d{1,18})\s*([a-z]*)", re.IGNORECASE | re.ASCII)
_MAX_VALUE = 10**18


def register(subparsers: Subparsers) -> None:
    subcommands = add_group(subparsers, "quota", "what a namespace may have: set, show, recount", _EPILOG)
    setting = add_command(subcommands, "set", "set all limits of a namespace; what is not given is not limited", _set)
    setting.add_argument("--bytes", type=parse_size, metavar="SIZE", help="of files and open uploads together (500GiB)")
    setting.add_argument("--uploads", type=parse_count, metavar="NUMBER", help="uploads in progress")
    setting.add_argument("--file", type=parse_size, metavar="SIZE", help="of one file")
    showing = add_command(subcommands, "show", "show the limits of a namespace, and what is counted", _show)
    counting = add_command(subcommands, "recount", "count what was there before the limit; may be repeated", _recount)
    for parser in (setting, showing, counting):
        parser.add_argument("namespace", metavar="NAMESPACE")


def parse_size(text: str) -> int:
    """Bytes, or with a unit of 1024. Raises `argparse.ArgumentTypeError`."""
    found = _SIZE_PATTERN.fullmatch(text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or int(found[1]) * unit > _MAX_VALUE:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: write bytes, or KiB, MiB, GiB, TiB")
    return int(found[1]) * unit


def parse_count(text: str) -> int:
    """Raises `argparse.ArgumentTypeError`."""
    if not (text.isascii() and text.isdigit() and int(text) <= _MAX_VALUE):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)


def _set(options: argparse.Namespace, connection: Connection) -> CommandResult:
    limits = {"bytes": options.bytes, "uploads": options.uploads, "file": options.file}
    told = {name: str(limit) for name, limit in limits.items() if limit is not None}
    quotas = _quota_store(connection)
    quotas.get_quota(options.namespace)
    # In another table than the limits: noted first, so that no limit is set that nobody is named for.
    connection.context.store.commit(connection.context.audit_entry("quota.set", options.namespace, **told))
    quota = quotas.set_limits(
        options.namespace, max_bytes=options.bytes, max_uploads=options.uploads, max_file_bytes=options.file
    )
    note = f"What is there already is counted by `quota recount {options.namespace}`." if quota.tracks_usage else ""
    return _quota_result(options.namespace, quota, note)


def _show(options: argparse.Namespace, connection: Connection) -> CommandResult:
    return _quota_result(options.namespace, _require_quota(options, connection))


def _recount(options: argparse.Namespace, connection: Connection) -> CommandResult:
    if not _require_quota(options, connection).tracks_usage:
        raise AdminError(
            f"{options.namespace} has no limit that is counted for", "`quota set` with --bytes or --uploads"
        )
    connection.context.store.commit(connection.context.audit_entry("quota.recount", options.namespace))
    ledger = DynamoUploadRepository(_metadata_table(connection))
    done = recount(ledger, _quota_store(connection), options.namespace)
    said = [f"counted: {done.files} files, {done.uploads} uploads that were not; left out: {done.skipped}"]
    again = "What was left out is being completed or has just changed: recount again." if done.skipped else ""
    return CommandResult({"namespace": options.namespace, **asdict(done)}, said, again)


def _quota_store(connection: Connection) -> DynamoQuotaStore:
    return DynamoQuotaStore(_metadata_table(connection))


def _metadata_table(connection: Connection) -> Table:
    return Table(connection.dynamodb, connection.require_output("MetadataTableName"))


def _require_quota(options: argparse.Namespace, connection: Connection) -> Quota:
    quota = _quota_store(connection).get_quota(options.namespace)
    if quota is None:
        raise AdminError(f"{options.namespace} has no quota", "`ferry-admin quota set` gives it one")
    return quota


def _quota_result(ns: str, quota: Quota, note: str = "") -> CommandResult:
    data = {
        "namespace": ns,
        "bytes": {"limit": quota.max_bytes, "used": quota.used_bytes},
        "uploads": {"limit": quota.max_uploads, "used": quota.open_uploads},
        "file": {"limit": quota.max_file_bytes},
    }
    lines = [
        f"namespace  {ns}",
        f"bytes      {quota.used_bytes} of {_format_limit(quota.max_bytes)}",
        f"uploads    {quota.open_uploads} of {_format_limit(quota.max_uploads)}",
        f"file       at most {_format_limit(quota.max_file_bytes)}",
    ]
    return CommandResult(data, lines, note)


def _format_limit(limit: int | None) -> str:
    return "no limit" if limit is None else str(limit)
