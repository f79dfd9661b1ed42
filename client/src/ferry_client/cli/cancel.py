"""`ferry cancel`."""

from __future__ import annotations

import unicodedata

import click

from ferry_client.cli.output import Output
from ferry_client.cli.session import connection_options, open_client
from ferry_client.client import Ferry
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
            was_open = _is_open(ferry, name, upload_id)
            ferry.cancel(name, upload_id=upload_id)
            text = f"cancelled {name}" if was_open else f"The upload of {name} was cancelled before."
            output.result(text, filename=name, cancelled=True)


def _is_open(ferry: Ferry, name: str, upload_id: str | None) -> bool:
    """Return whether the upload is in progress. One that was cancelled is cancelled again without an error."""
    name = unicodedata.normalize("NFC", name)
    return any(upload.name == name and upload_id in (None, upload.upload_id) for upload in ferry.uploads())
