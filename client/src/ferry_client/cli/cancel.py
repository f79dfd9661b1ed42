"""`ferry cancel`."""

from __future__ import annotations

import click

from ferry_client.cli.output import Output
from ferry_client.cli.session import connection_options, open_client


@click.command("cancel")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@connection_options
def command(names: tuple[str, ...], profile: str | None, as_json: bool, quiet: bool, retry_for: float) -> None:
    """Cancel uploads in progress. Finished files of these names are untouched.

    \b
    ferry status
    ferry cancel videos/2026.mp4
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        for name in names:
            ferry.cancel(name)
            output.result(f"cancelled {name}", filename=name, cancelled=True)
