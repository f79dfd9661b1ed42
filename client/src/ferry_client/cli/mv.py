"""`ferry mv`."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import click

from ferry_client.cli.folders import expecting_file
from ferry_client.cli.output import Output
from ferry_client.cli.session import long_connection_options, open_client
from ferry_client.cli.transfers import FileTask, run_file_tasks
from ferry_client.client import Ferry
from ferry_client.errors import NotFoundError, UsageError
from ferry_client.models import FileRecord

JOBS = 4
"""Moves at once. Each is one short request."""


@click.command("mv")
@click.argument("name", metavar="NAME|PREFIX/")
@click.argument("to", metavar="NAME|PREFIX/")
@click.option("--replace", is_flag=True, help="Replace a file of the new name; it can be restored.")
@long_connection_options
def command(
    name: str, to: str, replace: bool, profile: str | None, as_json: bool, quiet: bool, retry_for: float
) -> int:
    """Rename a file, or all files below a prefix. No byte is copied.

    A folder is renamed file by file. A file that cannot be moved (its new name is taken, say) stays, and is listed at
    the end. After an interruption, run the same command again: it moves what is left.

    \b
    ferry mv draft.txt final.txt
    ferry mv draft.txt texts/                # as texts/draft.txt
    ferry mv photos/2025/ archive/2025/
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        if not name.endswith("/"):
            target = to + name.rpartition("/")[2] if to.endswith("/") else to
            with expecting_file(ferry, name, "ferry mv {folder} PREFIX/"):
                etag = ferry.stat(name).etag
            if unicodedata.normalize("NFC", target) == unicodedata.normalize("NFC", name):
                raise UsageError(f"{name} has this name already. Nothing is moved: choose another name.")
            record = ferry.move(name, target, replace=replace, etag=etag)
            output.result(f"{name} -> {record.name}", **{"from": name, "to": record.name})
            return 0
        if not to.endswith("/"):
            raise UsageError(f"{name} is a folder: its new name must end with /, as in {to}/.")
        if to == name:
            raise UsageError(f"{name} has this name already. Nothing is moved: choose another name.")
        if to.startswith(name):
            raise UsageError(f"{to} is below {name}. Choose a folder outside.")
        moves = [(record, to + record.name.removeprefix(name)) for record in ferry.list(name)]
        if not moves:
            raise NotFoundError(404, "not_found", f"There are no files below {name}.")
        _raise_if_repeated(name, moves)
        return run_file_tasks([_task(ferry, record, target, replace, output) for record, target in moves], output, JOBS)


def _raise_if_repeated(prefix: str, moves: Sequence[tuple[FileRecord, str]]) -> None:
    """Raise `UsageError` where a moved file would be below the prefix again: a second run would move it once more."""
    for record, target in moves:
        if target.startswith(prefix):
            raise UsageError(
                f"{record.name} would become {target}, which is below {prefix} again. Move this file elsewhere first."
            )


def _task(ferry: Ferry, record: FileRecord, to: str, replace: bool, output: Output) -> FileTask:
    def move(report: object) -> str:
        del report
        ferry.move(record.name, to, replace=replace, etag=record.etag)
        output.result(f"{record.name} -> {to}", **{"from": record.name, "to": to})
        return record.name

    return FileTask(record.name, 0, move)
