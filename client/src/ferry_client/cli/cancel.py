"""`ferry cancel`."""

from __future__ import annotations

import click

from ferry_client.cli.output import Output
from ferry_client.cli.session import connection_options, open_client
from ferry_client.errors import UsageError


@click.command("cancel")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--id", "upload_id", metavar="ID", help="Which upload of NAME, by the id that `ferry status` shows.")
@connection_options
def command(
    names: tuple[str, ...], upload_id: str | None, profile: str | None, as_json: bool, quiet: bool, retry_for: float
) -> None:
    """Cancel uploads in progress. Finished files of these names are untouched.

    \b
    ferry status
    ferry cancel videos/2026.mp4
    ferry cancel videos/2026.mp4 --id 0b6f0f3e8f7b4d0c9c0a4f4e2d1b7a55
    """
    if upload_id is not None and len(names) > 1:
        raise UsageError("--id is the upload of one name. Name one.")
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        for name in names:
            ferry.cancel(name, upload_id=upload_id)
            output.result(f"cancelled {name}", filename=name, cancelled=True)
