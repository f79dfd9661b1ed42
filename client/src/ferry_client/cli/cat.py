"""`ferry cat`."""

from __future__ import annotations

import click

from ferry_client.cli.folders import expecting_file
from ferry_client.cli.output import Output
from ferry_client.cli.session import long_connection_options, open_client
from ferry_client.cli.stdout import flush_output, write_output


@click.command("cat")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@long_connection_options
def command(names: tuple[str, ...], profile: str | None, as_json: bool, quiet: bool, retry_for: float) -> None:
    """Write files to standard output, verified by their checksums.

    The last bytes of a file are written only if all of it was right: the exit code says so.

    \b
    ferry cat notes.txt
    ferry cat a.log b.log | grep error
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        for name in names:
            with expecting_file(ferry, name, "ferry ls {folder}"):
                for block in ferry.iter_content(name, on_note=output.note):
                    write_output(block)
        flush_output()
