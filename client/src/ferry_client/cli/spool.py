"""`ferry spool`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from ferry_client.cli.complete import complete_folders
from ferry_client.cli.exit_codes import DONE, SOME_FAILED
from ferry_client.cli.output import Output
from ferry_client.cli.session import Duration, long_connection_options, open_transfer_client, transfer_options
from ferry_client.errors import UsageError
from ferry_client.spool import STATE_FILE_NAME, Spool, SpoolOptions


@click.command("spool")
@click.argument("folder", metavar="DIR", shell_complete=complete_folders)
@click.argument("prefix", metavar="PREFIX/")
@click.option(
    "--then",
    type=click.Choice(["delete", "move"]),
    default="delete",
    show_default=True,
    help="What becomes of a file that is safe on the service; move: into DIR/.ferry-sent/.",
)
@click.option(
    "--settle", type=Duration(), default="5s", show_default=True, help="A file is sent when unchanged for this long."
)
@click.option(
    "--if-exists",
    type=click.Choice(["fail", "replace", "rename"]),
    default="rename",
    show_default=True,
    help="What to do where the name has another file.",
)
@click.option("--once", is_flag=True, help="Send what is there, then exit.")
@transfer_options
@long_connection_options
def command(folder: str, prefix: str, **options: Any) -> int:
    """Watch a folder, send each file that no longer changes, and remove what is safe on the service.

    The folder is the queue: a file stays until the service has committed it and its checksum was compared. A power
    loss at any moment loses nothing. DIR/.ferry-spool.json says what the spool is doing; systemd is notified. One
    process at a time watches a folder. Names that begin with a dot are left out.

    \b
    ferry spool /var/spool/camera camera-7/
    ferry spool outbox/ inbox/ --then move --once
    """
    path = Path(folder)
    if not path.is_dir():
        raise UsageError(f"{folder} is no folder.")
    if not prefix.endswith("/"):
        raise UsageError(f"The prefix must end with /, as in {prefix}/.")
    output = Output(as_json=options["as_json"], quiet=options["quiet"])
    spool_options = SpoolOptions(then=options["then"], settle_seconds=options["settle"], if_exists=options["if_exists"])
    with open_transfer_client(options, output) as ferry:
        spool = Spool(
            ferry, path, prefix, spool_options, on_event=lambda text: output.note(f"{time.strftime('%H:%M:%S')} {text}")
        )
        spool.run(once=options["once"])
    if not spool.state.rejected:
        return DONE
    count = len(spool.state.rejected)
    output.error(
        f"{count} file{' stays' if count == 1 else 's stay'} in the folder. {path / STATE_FILE_NAME} says why."
    )
    return SOME_FAILED
