"""`ferry put`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ferry_client.cli import stdin
from ferry_client.cli.config import state_path
from ferry_client.cli.exit_codes import DONE, INTERRUPTED, SOME_FAILED
from ferry_client.cli.output import Output, format_bytes
from ferry_client.cli.put_sources import expand, split_target
from ferry_client.cli.session import long_connection_options, open_transfer_client, transfer_options, walk_options
from ferry_client.cli.transfers import FileTask, Report, progress_to, run_file_tasks
from ferry_client.client import Ferry
from ferry_client.folder_walk import SkippedPaths
from ferry_client.local_files import LocalFile, preserved_metadata


@click.command("put")
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(allow_dash=True), metavar="FILE|DIR|-... [NAME|PREFIX/]"
)
@click.option(
    "--if-exists",
    type=click.Choice(["fail", "replace", "rename", "skip"]),
    default="fail",
    show_default=True,
    help="What to do where the name has a file.",
)
@walk_options(
    "Send what matches, e.g. '*.jpg' or a folder. Repeatable.",
    "skip leaves symbolic links out, follow sends what they lead to, keep sends the link itself.",
)
@click.option("--preserve", is_flag=True, help="Store modification time and mode with each file.")
@click.option("--content-type", help="The type of the files; by their extension if it is missing.")
@click.option(
    "--restart", is_flag=True, help="Discard uploads in progress of these names, also those of other machines."
)
@click.option("--spool-input", is_flag=True, help="Write standard input to the disk first, so that its upload resumes.")
@click.option("--dry-run", is_flag=True, help="Show what would be sent.")
@transfer_options
@long_connection_options
def command(paths: tuple[str, ...], **options: Any) -> int:
    """Upload files, folders (recursively) or standard input (-).

    The second of two arguments is the new name. A last argument that ends with / is a prefix, below which files keep
    their names; several files need one. After Ctrl-C, a crash or a lost network, run the same command again: it
    continues where it stopped.

    \b
    ferry put video.mp4                      # as video.mp4
    ferry put video.mp4 videos/              # as videos/video.mp4
    ferry put video.mp4 videos/2026.mp4      # under another name
    ferry put photos/ backup/                # the folder, as backup/photos/...
    ferry put photos/. backup/               # its files, as backup/...
    ferry put *.log logs/ --if-exists skip   # several files; below no prefix: ferry put *.log /
    tar c data | ferry put - data.tar
    tar c data | ferry put - data.tar --spool-input

    Standard input is sent as it comes, also over a line that breaks. Its bytes are in this process alone: when it ends
    early (Ctrl-C, a crash, no network for --retry-for), the upload does not continue, and no file appears. With
    --spool-input the input is first written to the state folder; run again with the same input, its upload continues.
    """
    output = Output(as_json=options["as_json"], quiet=options["quiet"])
    sources, target = split_target(paths, output)
    if sources == ["-"]:
        return _put_standard_input(str(target), output, options)
    problems: list[tuple[str, str]] = []
    skipped = SkippedPaths()
    files = expand(sources, target, options, problems, skipped)
    for path, text in problems:
        output.error(f"{path} {text}.")
    for text in skipped.describe():
        output.note(text)
    if options["dry_run"]:
        for file in files:
            output.result(f"{file.path} -> {file.name}", path=str(file.path), filename=file.name, size=file.size)
        return SOME_FAILED if problems else DONE
    if not files and not problems:
        output.note("There are no files to send.")
    with open_transfer_client(options, output) as ferry:
        tasks = [FileTask(file.name, file.size, _uploader(ferry, file, output, options)) for file in files]
        code = run_file_tasks(tasks, output, options["jobs"])
    return code if code != DONE or not problems else SOME_FAILED


def _uploader(ferry: Ferry, file: LocalFile, output: Output, options: dict[str, Any]) -> Callable[[Report], str]:
    """Return a function that uploads a file and writes the result."""

    def upload(report: Report) -> str:
        is_stream = file.is_standard_input
        source: Any = b"" if file.symlink_target is not None else sys.stdin.buffer if is_stream else file.path
        keeps = (options["preserve"] and not is_stream) or file.symlink_target is not None
        result = ferry.upload(
            source,
            file.name,
            if_exists=options["if_exists"],
            content_type=options["content_type"],
            metadata=preserved_metadata(file) if keeps else None,
            restart=options["restart"],
            on_progress=progress_to(report),
            on_note=output.note,
        )
        if result.skipped or result.file is None:
            output.result(f"{file.name} skipped: it exists", filename=file.name, skipped=True)
            return file.name
        output.result(
            f"{result.file.name} {format_bytes(result.file.size)}",
            filename=result.file.name,
            size=result.file.size,
            etag=result.file.etag,
            sent_bytes=result.sent_bytes,
            resumed_bytes=result.resumed_bytes,
        )
        return result.file.name

    return upload


def _put_standard_input(target: str, output: Output, options: dict[str, Any]) -> int:
    """Send standard input as it comes, or from the disk."""
    with open_transfer_client(options, output) as ferry:
        if options["spool_input"]:
            return _put_spooled_input(ferry, target, output, options)
        file = LocalFile(Path("-"), target, 0, is_standard_input=True)
        try:
            return run_file_tasks([FileTask(target, 0, _uploader(ferry, file, output, options))], output, 1)
        except KeyboardInterrupt:
            output.error("stopped. The upload of standard input does not continue; --spool-input makes it resumable.")
            return INTERRUPTED


def _put_spooled_input(ferry: Ferry, target: str, output: Output, options: dict[str, Any]) -> int:
    """Write standard input to the state folder, and send it from there."""
    with stdin.spooled(state_path(), ferry.api.url, target) as path:
        file = LocalFile(path, target, path.stat().st_size)
        task = FileTask(target, file.size, _uploader(ferry, file, output, options))
        code = SOME_FAILED
        try:
            code = run_file_tasks([task], output, options["jobs"])
        finally:
            if code == DONE:
                path.unlink(missing_ok=True)
            else:
                send = f"ferry put {shlex.quote(str(path))} {shlex.quote(target)}"
                output.error(f"The input is kept. Run the same command again, or send it with: {send}")
        return code
