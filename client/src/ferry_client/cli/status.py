"""`ferry status`."""

from __future__ import annotations

import click

from ferry_client.cli.output import Output, format_bytes
from ferry_client.cli.session import connection_options, open_client


@click.command("status")
@click.argument("name", required=False)
@connection_options
def command(name: str | None, profile: str | None, as_json: bool, quiet: bool, retry_for: float) -> None:
    """Show the uploads in progress, or the state of one name.

    \b
    ferry status
    ferry status videos/2026.mp4 --json
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        for upload in [ferry.status(name)] if name else ferry.uploads():
            done, size = format_bytes(upload["received_bytes"]), format_bytes(upload["size"])
            output.result(
                f"{upload['filename']}  {upload['state']}  {upload['percent']} % ({done} of {size})", **upload
            )
