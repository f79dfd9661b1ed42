"""`ferry-admin quota ...`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from admin.commands.options import Subparsers, add_command, add_group, parse_namespace
from admin.errors import AdminError
from admin.result import CommandResult, format_pairs, format_size

if TYPE_CHECKING:
    from admin.connect import Connection
    from ferry.model.quotas import Quota

_DETAILS = """\
A quota limits the bytes of a namespace's files and open uploads, its uploads in progress, and the size of one file.
Limits apply to uploads that start from then on; nothing is deleted.

examples:
  ferry-admin quota set acme --bytes 500GiB --uploads 20 --file 50GiB --stack ferry
  ferry-admin quota recount acme --stack ferry    count what was there before; repeat after a minute
  ferry-admin quota show acme --stack ferry
  ferry-admin quota set acme --stack ferry        lift all limits
"""
_UNITS = {"": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_SIZE_PATTERN = re.compile(r"(\d{1,18})\s*([a-z]*)", re.IGNORECASE | re.ASCII)
_MAX_VALUE = 10**18


def register(subparsers: Subparsers) -> None:
    subcommands = add_group(subparsers, "quota", "manage a namespace's quota: set, show, recount", _DETAILS)
    set_ = add_command(
        subcommands,
        "set",
        "set all limits of a namespace; a limit that is left out is lifted",
        _set,
        examples=[
            "ferry-admin quota set acme --bytes 500GiB --uploads 20 --file 50GiB --stack ferry",
            "ferry-admin quota set acme --stack ferry",
        ],
    )
    set_.add_argument("--bytes", type=parse_size, metavar="SIZE", help="of files and open uploads together (500GiB)")
    set_.add_argument("--uploads", type=parse_count, metavar="NUMBER", help="uploads in progress")
    set_.add_argument("--file", type=parse_size, metavar="SIZE", help="of one file")
    show = add_command(
        subcommands,
        "show",
        "show the limits and the usage of a namespace",
        _show,
        examples=["ferry-admin quota show acme --stack ferry", "ferry-admin quota show acme --local --output json"],
    )
    recount_ = add_command(
        subcommands,
        "recount",
        "count files and uploads from before the quota; may be repeated",
        _recount,
        examples=["ferry-admin quota recount acme --stack ferry"],
    )
    for parser in (set_, show, recount_):
        parser.add_argument(
            "namespace", type=parse_namespace, metavar="NAMESPACE", help="the namespace that the limits are for"
        )


def parse_size(text: str) -> int:
    """Return a number of bytes, given with or without a unit of 1024. Raises `argparse.ArgumentTypeError`."""
    found = _SIZE_PATTERN.fullmatch(text.strip())
    unit = _UNITS.get(found[2].upper()) if found else None
    if found is None or unit is None or int(found[1]) * unit > _MAX_VALUE:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write bytes, or a number with KiB, MiB, GiB or TiB")
    return int(found[1]) * unit


def parse_count(text: str) -> int:
    """Return a whole number. Raises `argparse.ArgumentTypeError`."""
    if not (text.isascii() and text.isdigit() and int(text) <= _MAX_VALUE):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _set(options: argparse.Namespace, connection: Connection) -> CommandResult:
    limits = {"bytes": options.bytes, "uploads": options.uploads, "file": options.file}
    details = {name: str(limit) for name, limit in limits.items() if limit is not None}
    quotas = connection.quota_store
    quotas.get_quota(options.namespace)
    # Limits are in the metadata table, the audit log in the auth table: without a common transaction the entry comes
    # first, so that no limit lacks one.
    connection.context.store.commit(connection.context.audit_entry("quota.set", options.namespace, **details))
    quota = quotas.set_limits(
        options.namespace, max_bytes=options.bytes, max_uploads=options.uploads, max_file_bytes=options.file
    )
    recount_command = f"ferry-admin quota recount {options.namespace} {connection.target.option}"
    note = f"To count existing files and uploads: {recount_command}" if quota.tracks_usage else ""
    return _quota_result(options.namespace, quota, note)


def _show(options: argparse.Namespace, connection: Connection) -> CommandResult:
    return _quota_result(options.namespace, _require_quota(options, connection))


def _recount(options: argparse.Namespace, connection: Connection) -> CommandResult:
    from admin.recount import recount
    from ferry.aws.file_repository import DynamoFileRepository
    from ferry.aws.upload_repository import DynamoUploadRepository

    if not _require_quota(options, connection).tracks_usage:
        raise AdminError(
            f"{options.namespace} has no limit that usage counts towards",
            f"set one: `ferry-admin quota set {options.namespace}` with --bytes or --uploads",
        )
    connection.context.store.commit(connection.context.audit_entry("quota.recount", options.namespace))
    result = recount(
        DynamoUploadRepository(connection.metadata_table),
        DynamoFileRepository(connection.metadata_table),
        connection.quota_store,
        options.namespace,
    )
    lines = [f"newly counted: {result.files} files, {result.uploads} uploads; skipped: {result.skipped}"]
    note = "Skipped ones are being completed or have just changed. Recount again." if result.skipped else ""
    return CommandResult({"namespace": options.namespace, **asdict(result)}, lines, note)


def _require_quota(options: argparse.Namespace, connection: Connection) -> Quota:
    quota = connection.quota_store.get_quota(options.namespace)
    if quota is None:
        raise AdminError(
            f"{options.namespace} has no quota", f"set one: `ferry-admin quota set {options.namespace} --bytes SIZE`"
        )
    return quota


def _quota_result(ns: str, quota: Quota, note: str = "") -> CommandResult:
    pairs = [
        ("namespace", ns),
        ("bytes", format_usage(quota.used_bytes, quota.max_bytes, format_size)),
        ("uploads", format_usage(quota.open_uploads, quota.max_uploads)),
        ("file", format_limit(quota.max_file_bytes, format_size)),
    ]
    return CommandResult(to_dict(ns, quota), format_pairs(pairs), note)


def to_dict(ns: str, quota: Quota) -> dict[str, object]:
    """Return the limits (null: none) and the usage."""
    return {
        "namespace": ns,
        "bytes": {"limit": quota.max_bytes, "used": quota.used_bytes},
        "uploads": {"limit": quota.max_uploads, "used": quota.open_uploads},
        "file": {"limit": quota.max_file_bytes},
    }


def format_limit(limit: int | None, format_value: Callable[[int], str] = str) -> str:
    """Return the limit as text."""
    return "unlimited" if limit is None else format_value(limit)


def format_usage(used: int, limit: int | None, format_value: Callable[[int], str] = str) -> str:
    """Return the usage and its limit as text."""
    return f"{format_value(used)} of {format_limit(limit, format_value)}"
