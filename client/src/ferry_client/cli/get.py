"""`ferry get`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ferry_client.cli.complete import complete_files
from ferry_client.cli.fetch import fetch
from ferry_client.cli.folders import expecting_file
from ferry_client.cli.output import Output, format_bytes
from ferry_client.cli.session import long_connection_options, open_transfer_client, transfer_options
from ferry_client.cli.stdout import flush_output, write_output
from ferry_client.cli.transfers import FileTask, Report, progress_to, run_file_tasks
from ferry_client.client import Ferry
from ferry_client.errors import NotFoundError, UsageError
from ferry_client.local_files import LocalTargets
from ferry_client.models import FileRecord


@click.command("get")
@click.argument("name", metavar="NAME|PREFIX/")
@click.argument("target", required=False, metavar="[PATH|-]", shell_complete=complete_files)
@click.option("--preserve", is_flag=True, help="Restore modification time, mode and symbolic links.")
@click.option("--dry-run", is_flag=True, help="Show what would be fetched.")
@transfer_options
@long_connection_options
def command(name: str, target: str | None, **options: Any) -> int:
    """Download a file, or all files below a prefix (it ends with /; / alone is everything).

    A file appears under its name only when all its bytes are there and their checksum is right. After Ctrl-C, a crash
    or a lost network, run the same command again: it continues where it stopped.

    \b
    ferry get videos/2026.mp4                # as 2026.mp4
    ferry get videos/2026.mp4 copy.mp4
    ferry get backup/photos/ pictures/       # the folder, as pictures/...
    ferry get data.tar - | tar x
    """
    output = Output(as_json=options["as_json"], quiet=options["quiet"])
    with open_transfer_client(options, output) as ferry:
        if target == "-":
            return _to_standard_output(ferry, name, output)
        if name.endswith("/"):
            return _get_prefix(ferry, "" if name == "/" else name, Path(target or "."), output, options)
        path = _target_path(name, target)
        if options["dry_run"]:
            output.result(f"{name} -> {path}", filename=name, path=str(path))
            return 0
        with expecting_file(ferry, name, "ferry get {folder}"):
            record = ferry.stat(name)
        return run_file_tasks([_task(ferry, record, path, path.parent, output, options)], output, 1)


def _to_standard_output(ferry: Ferry, name: str, output: Output) -> int:
    with expecting_file(ferry, name, "ferry get {folder} DIR"):
        for block in ferry.iter_content(name, on_note=output.note):
            write_output(block)
    flush_output()
    return 0


def _target_path(name: str, target: str | None) -> Path:
    base = name.rpartition("/")[2]
    if target is None:
        return Path(base)
    path = Path(target)
    return path / base if target.endswith("/") or path.is_dir() else path


def _get_prefix(ferry: Ferry, prefix: str, folder: Path, output: Output, options: dict[str, Any]) -> int:
    """Fetch the files below a prefix, and return the exit code."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder. Name a folder for the files below {prefix}.")
    targets = LocalTargets(folder, replace_links=options["preserve"])
    tasks, rejected = [], 0
    records = list(ferry.list(prefix))
    if not records:
        raise NotFoundError(404, "not_found", f"There are no files below {prefix or '/'}.")
    for record in records:
        try:
            path = targets.path_for(record.name.removeprefix(prefix))
        except UsageError as error:
            output.error(f"{record.name}: {error}")
            rejected += 1
            continue
        if options["dry_run"]:
            output.result(f"{record.name} -> {path}", filename=record.name, path=str(path), size=record.size)
            continue
        tasks.append(_task(ferry, record, path, folder, output, options))
    code = run_file_tasks(tasks, output, options["jobs"]) if tasks else 0
    return 1 if rejected else code


def _task(
    ferry: Ferry, record: FileRecord, path: Path, folder: Path, output: Output, options: dict[str, Any]
) -> FileTask:
    """Return the download of a file, which writes its result."""

    def run(report: Report) -> str:
        result = fetch(
            ferry,
            record,
            path,
            folder,
            preserve=options["preserve"],
            on_progress=progress_to(report),
            on_note=output.note,
        )
        output.result(
            f"{path} {format_bytes(result.file.size)}",
            filename=record.name,
            path=str(path),
            size=result.file.size,
            etag=result.file.etag,
            received_bytes=result.received_bytes,
            resumed_bytes=result.resumed_bytes,
        )
        return record.name

    return FileTask(record.name, record.size, run)
