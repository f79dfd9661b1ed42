"""`ferry rm`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import click

from ferry_client.cli import exit_codes
from ferry_client.cli.folders import expecting_file
from ferry_client.cli.output import Output
from ferry_client.cli.session import connection_options, open_client
from ferry_client.client import Ferry
from ferry_client.errors import NotFoundError, UsageError


@click.command("rm")
@click.argument("names", nargs=-1, required=True, metavar="NAME|PREFIX/...")
@click.option("-r", "--recursive", is_flag=True, help="Delete all files below a prefix.")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a folder is deleted.")
@connection_options
def command(
    names: tuple[str, ...],
    recursive: bool,
    dry_run: bool,
    yes: bool,
    profile: str | None,
    as_json: bool,
    quiet: bool,
    retry_for: float,
) -> int:
    """Delete files. `ferry restore` brings them back for a while.

    \b
    ferry rm old.txt older.txt
    ferry rm -r photos/2019/ --dry-run
    ferry rm -r photos/2019/ --yes
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        chosen = _choose(ferry, names, recursive=recursive)
        if dry_run:
            for name in chosen:
                output.result(f"would delete {name}", filename=name, dry_run=True)
            return exit_codes.DONE
        if recursive and not yes and not _is_confirmed(len(chosen)):
            output.error("Nothing is deleted.")
            return exit_codes.SOME_FAILED
        if len(names) == 1 and not recursive:
            with expecting_file(ferry, names[0], "ferry rm -r {folder}"):
                ferry.delete(names[0])
            errors: Mapping[str, str] = {}
        else:
            errors = ferry.delete_many(chosen)
    for name in chosen:
        if name in errors:
            text = "there is no such file" if errors[name] == "not_found" else errors[name]
            output.error(f"{name}: {text}")
        else:
            output.result(f"deleted {name}", filename=name, deleted=True)
    return exit_codes.SOME_FAILED if errors else exit_codes.DONE


def _choose(ferry: Ferry, names: Sequence[str], *, recursive: bool) -> list[str]:
    """Return the files to delete. Raises `UsageError` for a folder without `--recursive`, `NotFoundError`."""
    chosen: list[str] = []
    for name in names:
        if not name.endswith("/"):
            chosen.append(name)
        elif not recursive:
            raise UsageError(f"{name} is a folder. Delete all files below it with -r.")
        else:
            below = [record.name for record in ferry.list(name)]
            if not below:
                raise NotFoundError(404, "not_found", f"There are no files below {name}.")
            chosen += below
    return chosen


def _is_confirmed(count: int) -> bool:
    """Ask whether files are to be deleted. Raises `UsageError` where there is no terminal."""
    if not sys.stdin.isatty():
        raise UsageError(f"{count} files would be deleted. Confirm with --yes.")
    return click.confirm(f"Delete {count} files?", err=True)
