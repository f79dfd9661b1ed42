"""`ferry status`."""

from __future__ import annotations

import click

from ferry_client.cli.output import Output, format_bytes
from ferry_client.cli.session import connection_options, open_client
from ferry_client.models import UploadStatus


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
        is_empty = True
        for upload in [ferry.status(name)] if name else ferry.uploads():
            is_empty = False
            output.result(_line(upload), **upload.members)
        if is_empty:
            output.note("No uploads are in progress.")


def _line(upload: UploadStatus) -> str:
    """Return the state of an upload as a line. The size of a stream is unknown until its end."""
    done = format_bytes(upload.received_bytes)
    if upload.size is not None:
        done = f"{upload.percent} % ({done} of {format_bytes(upload.size)})"
    return f"{upload.name}  {upload.state}  {done}  id {upload.upload_id}"
