"""`ferry restore`."""

from __future__ import annotations

import unicodedata

import click

from ferry_client.cli.ls import record_members
from ferry_client.cli.output import Output
from ferry_client.cli.session import connection_options, open_client
from ferry_client.client import Ferry


@click.command("restore")
@click.argument("name")
@click.option("--to", metavar="NAME", help="Restore it under this name.")
@click.option(
    "--id", "upload_id", metavar="ID", help="Which one, by the id that `ferry ls --deleted` shows; else the last."
)
@click.option("--if-exists", type=click.Choice(["fail", "replace", "rename"]), default="fail", show_default=True)
@connection_options
def command(
    name: str,
    to: str | None,
    upload_id: str | None,
    if_exists: str,
    profile: str | None,
    as_json: bool,
    quiet: bool,
    retry_for: float,
) -> None:
    """Restore a file that was deleted or replaced.

    \b
    ferry ls --deleted photos/
    ferry restore photos/cat.jpg
    ferry restore photos/cat.jpg --to photos/cat-old.jpg
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        was_deleted = _is_deleted(ferry, name, upload_id)
        record = ferry.restore(name, to=to, upload_id=upload_id, if_exists=if_exists)
        text = f"restored {record.name}" if was_deleted else f"{record.name} is there already: it was restored before"
        output.result(text, **record_members(record), restored=was_deleted)


def _is_deleted(ferry: Ferry, name: str, upload_id: str | None) -> bool:
    """Return whether there is something to restore. A repeated restore succeeds, too, and changes nothing."""
    name = unicodedata.normalize("NFC", name)
    records = ferry.list_page(name, deleted=True).files  # in the order of names: those of this name are the first
    return any(record.name == name and upload_id in (None, record.upload_id) for record in records)
