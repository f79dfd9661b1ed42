"""`ferry ls`."""

from __future__ import annotations

import click

from ferry_client.cli.output import Output, format_bytes
from ferry_client.cli.session import connection_options, open_client
from ferry_client.models import FileRecord


@click.command("ls")
@click.argument("prefix", default="", metavar="[PREFIX/]")
@click.option("-r", "--recursive", is_flag=True, help="List the files of all folders below, too.")
@click.option("-l", "--long", "as_long", is_flag=True, help="Show size and time.")
@click.option("--deleted", is_flag=True, help="List deleted and replaced files that can be restored.")
@connection_options
def command(
    prefix: str,
    recursive: bool,
    as_long: bool,
    deleted: bool,
    profile: str | None,
    as_json: bool,
    quiet: bool,
    retry_for: float,
) -> None:
    """List the files and folders below a prefix.

    \b
    ferry ls
    ferry ls -l photos/2026/
    ferry ls -r photos/ --json
    ferry ls --deleted                       # what `ferry restore` can bring back
    """
    output = Output(as_json=as_json, quiet=quiet)
    delimiter = None if recursive or deleted else "/"
    with open_client(profile, retry_for, output=output) as ferry:
        cursor: str | None = None
        is_empty = True
        while True:
            page = ferry.list_page(prefix, delimiter=delimiter, cursor=cursor, deleted=deleted)
            entries: list[str | FileRecord] = [*page.prefixes, *page.files]
            for entry in sorted(entries, key=_sort_key):
                is_empty = False
                if isinstance(entry, str):
                    output.result(entry if not as_long else f"{'':>10}  {'':20}  {entry}", prefix=entry)
                else:
                    _show(output, entry, as_long=as_long)
            cursor = page.cursor
            if cursor is None:
                break
        if is_empty:
            output.note(f"There are no {'deleted ' if deleted else ''}files below {prefix or '/'}.")


def _sort_key(entry: str | FileRecord) -> bytes:
    return (entry if isinstance(entry, str) else entry.name).encode()


def _show(output: Output, file: FileRecord, *, as_long: bool) -> None:
    text = f"{format_bytes(file.size):>10}  {file.uploaded_at[:19]:20}  {file.name}" if as_long else file.name
    if file.restorable_until:
        text += f"  (deleted {file.deleted_at}, restorable until {file.restorable_until}, id {file.upload_id})"
    output.result(text, **record_members(file))


def record_members(file: FileRecord) -> dict[str, object]:
    """Return a record as the members of a JSON line."""
    members: dict[str, object] = {
        "filename": file.name,
        "size": file.size,
        "etag": file.etag,
        "content_type": file.content_type,
        "crc32c": file.crc32c,
        "uploaded_at": file.uploaded_at,
        "metadata": dict(file.metadata),
        "upload_id": file.upload_id,
    }
    if file.deleted_at:
        members |= {"deleted_at": file.deleted_at, "restorable_until": file.restorable_until}
    return members
