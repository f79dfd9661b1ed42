"""`ferry sync`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from ferry_client.cli import exit_codes
from ferry_client.cli.complete import complete_folders
from ferry_client.cli.config import state_path
from ferry_client.cli.fetch import fetch
from ferry_client.cli.output import Output, format_bytes
from ferry_client.cli.session import long_connection_options, open_transfer_client, transfer_options, walk_options
from ferry_client.cli.transfers import FileTask, Report, progress_to, run_file_tasks
from ferry_client.client import Ferry
from ferry_client.errors import LocalFileError, NotFoundError, UsageError
from ferry_client.file_cache import FileCache, FileIdentity
from ferry_client.folder_walk import SkippedPaths
from ferry_client.local_files import preserved_metadata
from ferry_client.sync import SyncAction, SyncOptions, SyncStep, change_service, plan_download, plan_upload


@click.command("sync")
@click.argument("source", metavar="DIR|PREFIX/", shell_complete=complete_folders)
@click.argument("target", metavar="PREFIX/|DIR", shell_complete=complete_folders)
@click.option("--up", "direction", flag_value="up", help="SOURCE is a local folder; needed only where both exist here.")
@click.option("--down", "direction", flag_value="down", help="SOURCE is a prefix of the service.")
@click.option("--delete", is_flag=True, help="Delete what has no counterpart in SOURCE. Look at --dry-run first.")
@walk_options(
    "Consider what matches, e.g. '*.jpg' or a folder. Repeatable.",
    "On the way up: skip leaves symbolic links out, follow sends what they lead to, keep sends the link itself.",
)
@click.option("--preserve", is_flag=True, help="Keep modification time and mode, up and down.")
@click.option("--dry-run", is_flag=True, help="Show what would be done.")
@transfer_options
@long_connection_options
def command(source: str, target: str, direction: str | None, **options: Any) -> int:
    """Make TARGET like SOURCE: a local folder and a prefix of the service, in either direction.

    Files are compared by size, CRC32C and ETag. Checksums of unchanged local files are remembered, so that an unchanged
    tree is not read again. A file that was only renamed here is renamed there, not sent again.

    \b
    ferry sync photos/ backup/photos/ --dry-run
    ferry sync photos/ backup/photos/
    ferry sync backup/photos/ restored/      # down: backup/photos/ is no folder here
    """
    output = Output(as_json=options["as_json"], quiet=options["quiet"])
    is_explicit = direction is not None
    direction = direction or _direction(source, target)
    with open_transfer_client(options, output) as ferry:
        cache = FileCache(state_path(), ferry.api.url)
        with closing(cache):
            if direction == "up":
                steps = _plan_upload(ferry, cache, source, target, output, options)
            else:
                if not is_explicit:
                    _raise_if_nothing(ferry, source)
                steps = plan_download(ferry, cache, _prefix(source), Path(target), _sync_options(options))
            if options["dry_run"]:
                return _show(steps, output)
            return _execute(ferry, cache, steps, output, {**options, "target": target})


def _sync_options(options: dict[str, Any]) -> SyncOptions:
    return SyncOptions(**{name: options[name] for name in ("include", "exclude", "delete", "symlinks", "preserve")})


def _plan_upload(
    ferry: Ferry, cache: FileCache, folder: str, prefix: str, output: Output, options: dict[str, Any]
) -> list[SyncStep]:
    """Return the steps of a sync to the service, and show what is left out."""
    skipped = SkippedPaths()
    steps = plan_upload(ferry, cache, Path(folder), _prefix(prefix), _sync_options(options), skipped=skipped)
    for text in skipped.describe():
        output.note(text)
    return steps


def _direction(source: str, target: str) -> str:
    is_local = Path(source).is_dir()
    if is_local and Path(target).is_dir():
        raise UsageError(f"Both {source} and {target} are folders here. Say which way: --up or --down.")
    if not is_local and not source.endswith("/"):
        raise UsageError(f"{source} is neither a folder here nor a prefix, which ends with /.")
    return "up" if is_local else "down"


def _raise_if_nothing(ferry: Ferry, source: str) -> None:
    """Raise `NotFoundError` if a source is no folder and no prefix: a mistyped name would make the target empty."""
    if not ferry.list_page(_prefix(source), limit=1).files:
        detail = f"There is no folder {source} here, and there are no files below {source} on the service."
        raise NotFoundError(404, "not_found", f"{detail} Check the name, or say which way: --up or --down.")


def _prefix(text: str) -> str:
    if text in (".", "/", "./"):
        return ""
    return text if text.endswith("/") else f"{text}/"


def _show(steps: Sequence[SyncStep], output: Output) -> int:
    for step in steps:
        _report(output, step, dry_run=True)
    count = f"{len(steps)} difference{'' if len(steps) == 1 else 's'}"
    output.note(f"{count}, {format_bytes(sum(step.size for step in steps))} to transfer")
    return exit_codes.DONE


def _report(output: Output, step: SyncStep, *, dry_run: bool = False) -> None:
    if step.action is SyncAction.REJECT:
        output.error(f"{step.name}: {step.reason}")
        return
    before = f"{step.record.name} -> " if step.action is SyncAction.MOVE and step.record else ""
    members: dict[str, Any] = {"action": step.action.value, "filename": step.name, "size": step.size}
    if step.path is not None:
        members["path"] = str(step.path)
    output.result(f"{step.action.value} {before}{step.name}", **members, dry_run=dry_run)


def _execute(ferry: Ferry, cache: FileCache, steps: Sequence[SyncStep], output: Output, options: dict[str, Any]) -> int:
    """Do the steps: first moves and transfers, then deletions."""
    rejected = [step for step in steps if step.action is SyncAction.REJECT]
    for step in rejected:
        _report(output, step)
    code = exit_codes.DONE
    for actions in ((SyncAction.MOVE,), (SyncAction.UPLOAD, SyncAction.DOWNLOAD), (SyncAction.DELETE,)):
        tasks = [_task(ferry, cache, step, output, options) for step in steps if step.action in actions]
        if tasks:
            code = max(code, run_file_tasks(tasks, output, options["jobs"]))
        if code != exit_codes.DONE:
            break  # Nothing is deleted unless everything before succeeded.
    return exit_codes.SOME_FAILED if rejected else code


def _task(ferry: Ferry, cache: FileCache, step: SyncStep, output: Output, options: dict[str, Any]) -> FileTask:
    """Return a step as a task, which writes its result."""

    def run(report: Report) -> str:
        if step.action is SyncAction.UPLOAD:
            _upload(ferry, cache, step, output, options, report)
        elif step.action is SyncAction.DOWNLOAD:
            assert step.path is not None
            assert step.record is not None
            fetch(
                ferry,
                step.record,
                step.path,
                Path(options["target"]),
                preserve=options["preserve"],
                on_progress=progress_to(report),
                on_note=output.note,
            )
            if not step.path.is_symlink():
                cache.record_content(step.path, FileIdentity.of(step.path), step.record.etag)
        elif step.record is None and step.path is not None:
            _delete_local(step.path)
        else:
            change_service(ferry, cache, step)
        _report(output, step)
        return step.name

    return FileTask(step.name, step.size, run)


def _delete_local(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise LocalFileError(f"{path} cannot be deleted: {error.strerror}.") from error


def _upload(
    ferry: Ferry, cache: FileCache, step: SyncStep, output: Output, options: dict[str, Any], report: Report
) -> None:
    """Send a local file, and keep in the cache what it became."""
    file = step.local_file
    assert file is not None
    is_link = file.symlink_target is not None
    identity = FileIdentity.of(file.path) if not is_link else None
    result = ferry.upload(
        b"" if is_link else file.path,
        step.name,
        if_exists="replace",
        metadata=preserved_metadata(file) if options["preserve"] or is_link else None,
        on_progress=progress_to(report),
        on_note=output.note,
    )
    if identity is not None and result.file is not None:
        cache.record_synced(step.name, identity, result.file.etag)
        cache.record_content(file.path, identity, result.file.etag)
