"""`ferry-admin links ...`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from admin.commands.guard import guarded_result, run_guarded
from admin.commands.options import Subparsers, add_command, add_group, add_guard_options, parse_namespace
from admin.errors import UsageError
from admin.links import Selection, find_links, revoke_links, usages_of
from admin.ports import AdminContext
from admin.result import CommandResult, format_size, format_table, format_time
from ferry.model.links import Link, LinkKind, LinkUsage

if TYPE_CHECKING:
    from admin.connect import Connection

_DETAILS = """\
A link lets people without an account fetch or send files, by an address that is a secret. A link's id is no secret.

examples:
  the address of a link has leaked:
    ferry-admin links list --namespace acme --stack ferry       find its id by label, name and time
    ferry-admin links revoke LINK --stack ferry                 it ends within 60 seconds, its tokens too

  a client's secret has leaked, and links may have been created with it:
    ferry-admin client disable camera-7 --stack ferry           its links are revoked meanwhile
    ferry-admin links revoke --client camera-7 --stack ferry    they stay revoked when it is enabled again
"""


def register(subparsers: Subparsers) -> None:
    subcommands = add_group(subparsers, "links", "manage links: list, revoke", _DETAILS)
    list_ = add_command(
        subcommands,
        "list",
        "list the links of a namespace or a client, the newest first",
        _list,
        examples=[
            "ferry-admin links list --namespace acme --stack ferry",
            "ferry-admin links list --client camera-7 --stack ferry",
            "ferry-admin links list --namespace acme --local --output json",
        ],
    )
    _add_selection(list_)
    revoke = add_command(
        subcommands,
        "revoke",
        "revoke a link, or all links of a client or a namespace; they end within 60 seconds",
        _revoke,
        details="Presigned URLs that were given out before work for up to 60 seconds more, those of parts for up to\n"
        "PresignedUrlTtlSeconds (15 minutes by default).",
        examples=[
            "ferry-admin links revoke 0b6f0f3e8f7b4d0c9c0a4f4e2d1b7a55 --stack ferry",
            "ferry-admin links revoke --client camera-7 --stack ferry --dry-run",
            "ferry-admin links revoke --namespace acme --stack ferry --yes",
        ],
    )
    revoke.add_argument("link_id", metavar="LINK", nargs="?", help="the id of one link")
    _add_selection(revoke)
    add_guard_options(revoke, destructive=True)


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--namespace", type=parse_namespace, metavar="NAME", help="links to the files of this namespace"
    )
    parser.add_argument("--client", metavar="CLIENT", help="links that this client created")


def _selection(options: argparse.Namespace) -> Selection:
    link_id = getattr(options, "link_id", None)
    if link_id is None and options.namespace is None and options.client is None:
        selection = "add --namespace NAME, --client CLIENT, or both"
        # Only `revoke` takes the id of one link.
        hint = f"give the id of a link, or {selection}" if "link_id" in options else selection
        raise UsageError("say which links", hint)
    if link_id is not None and (options.namespace or options.client):
        raise UsageError("a link is named by its id alone", "leave out --namespace and --client")
    return Selection(link_id, options.namespace, options.client)


def _list(options: argparse.Namespace, connection: Connection) -> CommandResult:
    selection, context = _selection(options), connection.context
    links = find_links(context, connection.link_repository, selection)
    usages = usages_of(connection.link_repository, links)
    now = context.clock()
    return CommandResult([to_dict(link, usages[link.link_id], now) for link in links], _table(links, usages, now))


def _revoke(options: argparse.Namespace, connection: Connection) -> CommandResult:
    selection, repository = _selection(options), connection.link_repository
    subject = selection.link_id or selection.client_id or selection.ns or ""

    def operation(context: AdminContext) -> list[Link]:
        found = find_links(context, repository, selection)
        dry_run = context is not connection.context
        return revoke_links(context, repository, found, subject, dry_run=dry_run)

    what = f"the link {subject}" if selection.link_id else f"all links of {subject}"
    revoked = run_guarded(
        options, connection, operation, question=f"Revoke {what}? Those who have them can no longer use them."
    )
    data = {"revoked": [link.link_id for link in revoked]}
    count = f"{len(revoked)} link{'' if len(revoked) == 1 else 's'}"
    result = CommandResult(
        data, [f"revoked {count}"], "They end within 60 seconds." if revoked else "None of them was active."
    )
    return guarded_result(options, result)


def to_dict(link: Link, usage: LinkUsage, now: int) -> dict[str, object]:
    """Return a link without its secret, which is stored nowhere."""
    return {
        "link_id": link.link_id,
        "namespace": link.ns,
        "kind": link.kind.value,
        "filename": link.filename,
        "prefix": link.prefix,
        "label": link.label,
        "state": link.state(now).value,
        "password": link.password is not None,
        "created_by": link.created_by,
        "created_at": format_time(link.created_at),
        "expires_at": format_time(link.expires_at),
        "limits": {"downloads": link.max_downloads, "files": link.max_files, "bytes": link.max_bytes},
        "used": {"downloads": usage.downloads, "files": usage.files, "bytes": usage.bytes},
    }


def _table(links: Sequence[Link], usages: dict[str, LinkUsage], now: int) -> list[str]:
    headers = ("LINK", "KIND", "NAME", "LABEL", "STATE", "CLIENT", "EXPIRES", "USED")
    rows = [
        (
            link.link_id,
            link.kind.value,
            link.filename or link.prefix or "-",
            link.label or "-",
            link.state(now).value,
            link.created_by,
            format_time(link.expires_at) or "-",
            _used(link, usages[link.link_id]),
        )
        for link in links
    ]
    return format_table(headers, rows) if rows else ["no links"]


def _used(link: Link, usage: LinkUsage) -> str:
    if link.kind is LinkKind.UPLOAD:
        return f"{usage.files} of {link.max_files} files, {format_size(usage.bytes)}"
    if link.max_downloads is None:
        return "not counted"
    return f"{usage.downloads} of {link.max_downloads} downloads"
