"""`ferry stat`."""

from __future__ import annotations

import click

from ferry_client.cli.folders import expecting_file
from ferry_client.cli.ls import record_members
from ferry_client.cli.output import Output
from ferry_client.cli.session import connection_options, open_client


@click.command("stat")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@connection_options
def command(names: tuple[str, ...], profile: str | None, as_json: bool, quiet: bool, retry_for: float) -> None:
    """Show the record of files: size, type, checksum, time, metadata.

    \b
    ferry stat videos/2026.mp4
    ferry stat videos/2026.mp4 --json
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        for name in names:
            with expecting_file(ferry, name, "ferry ls {folder}"):
                members = record_members(ferry.stat(name))
            lines = [f"{key}: {value}" for key, value in members.items() if value not in (None, {})]
            output.result(*lines, **members)
