"""`ferry share`: links for people without an account."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from ferry_client.cli.folders import expecting_file
from ferry_client.cli.output import Output, format_bytes
from ferry_client.cli.qr_code import render, wants_qr_code
from ferry_client.cli.rate import parse_bytes
from ferry_client.cli.session import Duration, connection_options, open_client
from ferry_client.client import Ferry
from ferry_client.errors import UsageError
from ferry_client.links import ShareLink

PASSWORD_VARIABLE = "FERRY_LINK_PASSWORD"  # noqa: S105 - the name of a variable

_MAX_PASSWORD_BYTES = 4096
"""Most bytes that are read of a password. The service's limit is lower."""


class Size(click.ParamType):
    """A number of bytes such as `500000`, `512K` or `8G`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        size = value if isinstance(value, int) else parse_bytes(value)
        if not size:
            self.fail(f"{value!r} is no size. Write for example 500000, 512K or 8G.", param, ctx)
        return size


class Downloads(click.ParamType):
    """A number of downloads; `unlimited` is 0."""

    name = "downloads"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if value == "unlimited" or isinstance(value, int):
            return 0 if value == "unlimited" else int(value)
        if not value.isascii() or not value.isdigit() or not int(value):
            self.fail(f"{value!r} is no number of downloads. Write a number, or unlimited.", param, ctx)
        return int(value)


class ShareGroup(click.Group):
    """A group whose first argument is a file or folder, unless it names a subcommand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what names no subcommand as the arguments of `create`."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["create", *args]
        return super().parse_args(ctx, args)


@click.group("share", cls=ShareGroup, subcommand_metavar="[NAME|PREFIX/] [OPTIONS] | COMMAND [ARGS]...")
def command() -> None:
    """Create a link by which people without an account download files, or upload them.

    The link is written to standard output, this once: who has it, has what it grants. A file that is named like a
    subcommand is shared by `ferry share create NAME`.

    \b
    ferry share report.pdf                   # a link to a file
    ferry share photos/ --expires 30d        # to the files of a folder
    ferry share --upload inbox/ --password   # for uploads into a folder
    ferry share ls
    """


@command.command("create")
@click.argument("name", required=False, metavar="[NAME|PREFIX/]")
@click.option("--upload", is_flag=True, help="A link for uploads, into PREFIX/ or a folder of its own.")
@click.option(
    "--expires", type=Duration(), metavar="DURATION", help="How long it works, e.g. 12h or 30d; 7d if missing."
)
@click.option("--max-downloads", type=Downloads(), metavar="N|unlimited", help="Downloads at most.")
@click.option("--max-files", type=click.IntRange(min=1), metavar="N", help="Files at most, of an upload link.")
@click.option("--max-bytes", type=Size(), metavar="SIZE", help="Bytes at most, e.g. 8G, of an upload link.")
@click.option("--password", "ask_password", is_flag=True, help="Ask for a password on the terminal.")
@click.option("--password-fd", type=click.IntRange(min=0), metavar="N", help="Read a password from this descriptor.")
@click.option("--label", help="What the link is called. Those who open it see the label.")
@click.option(
    "--qr/--no-qr", default=None, help="Show the link as a QR code, too; on a terminal it is shown if neither is given."
)
@connection_options
def create(name: str | None, **options: Any) -> None:
    """Create a link, and write it to standard output.

    A password is no argument, because arguments are visible to other users: it is asked for (--password), read from a
    descriptor (--password-fd 3 3<file), or taken from FERRY_LINK_PASSWORD. On a terminal the link is also shown as a
    QR code, on standard error, for the camera of a phone.

    \b
    ferry share create report.pdf --max-downloads 1
    ferry share create --upload inbox/ --max-files 10 --max-bytes 2G --label 'Entries'
    """
    output = Output(as_json=options["as_json"], quiet=options["quiet"])
    _check(name, options)
    limits: dict[str, Any] = {
        "expires_in_seconds": None if options["expires"] is None else int(options["expires"]),
        "password": _read_password(options["password_fd"], ask=options["ask_password"]),
        "label": options["label"],
    }
    with open_client(options["profile"], options["retry_for"], output=output) as ferry:
        if options["upload"]:
            limits |= {"max_files": options["max_files"], "max_bytes": options["max_bytes"]}
            link = ferry.links.create_upload(prefix=name, **limits)
        else:
            limits |= {"max_downloads": options["max_downloads"] or None}
            link = _create_download(ferry, str(name), limits, output, unlimited=options["max_downloads"] == 0)
    assert link.url is not None
    output.result(link.url, **link_members(link), url=link.url)
    if wants_qr_code(options["qr"], as_json=options["as_json"], quiet=options["quiet"]):
        _show_qr_code(output, link.url)
    output.note(f"{_target(link)}, until {link.expires_at}, {_limits(link)}. End it: ferry share revoke {link.link_id}")


def _create_download(ferry: Ferry, name: str, limits: dict[str, Any], output: Output, *, unlimited: bool) -> ShareLink:
    """Create a link to a file or folder. Raises `NotFoundError` for a file that is not there."""
    if name.endswith("/"):
        link = ferry.links.create_download(prefix=name, **limits, unlimited_downloads=unlimited)
        if not ferry.list_page(name, limit=1).files:
            output.note(f"There are no files below {name} yet.")
        return link
    with expecting_file(ferry, name, "ferry share {folder}"):
        return ferry.links.create_download(filename=name, **limits, unlimited_downloads=unlimited)


@command.command("ls")
@connection_options
def list_links(profile: str | None, as_json: bool, quiet: bool, retry_for: float) -> None:
    """List the links, the newest first. Their addresses are not shown again.

    \b
    ferry share ls
    ferry share ls --json
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        for link in ferry.links.list():
            label = f"  {link.label}" if link.label else ""
            text = (
                f"{link.link_id}  {link.state:8}  until {link.expires_at[:16]}  {_target(link)}, {_limits(link)}{label}"
            )
            output.result(text, **link_members(link))


@command.command("revoke")
@click.argument("link_ids", nargs=-1, required=True, metavar="ID...")
@connection_options
def revoke(link_ids: tuple[str, ...], profile: str | None, as_json: bool, quiet: bool, retry_for: float) -> None:
    """End links, within a minute. Downloads that began before may continue for a minute, uploads for 15.

    \b
    ferry share ls
    ferry share revoke 0b6f0f3e8f7b4d0c9c0a4f4e2d1b7a55
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        for link_id in link_ids:
            ferry.links.revoke(link_id)
            output.result(f"revoked {link_id}", link_id=link_id, revoked=True)


@command.command("activity")
@click.argument("link_id", metavar="ID")
@connection_options
def activity(link_id: str, profile: str | None, as_json: bool, quiet: bool, retry_for: float) -> None:
    """Show what happened by a link in the last 90 days, the newest first.

    \b
    ferry share activity 0b6f0f3e8f7b4d0c9c0a4f4e2d1b7a55
    """
    output = Output(as_json=as_json, quiet=quiet)
    with open_client(profile, retry_for, output=output) as ferry:
        link = ferry.links.get(link_id)
        if link.kind == "download" and link.max_downloads is None:
            output.note("Downloads of this link are not limited, so they are not recorded.")
        for entry in ferry.links.activity(link_id):
            file = "" if entry.filename is None else f"  {entry.filename}  {format_bytes(entry.size or 0)}"
            output.result(
                f"{entry.at[:19]}  {entry.action:14}  {entry.network}{file}",
                at=entry.at,
                action=entry.action,
                network=entry.network,
                filename=entry.filename,
                size=entry.size,
            )


def link_members(link: ShareLink) -> dict[str, object]:
    """Return a link as the members of a JSON line, without its address."""
    return {
        "link_id": link.link_id,
        "kind": link.kind,
        "filename": link.filename,
        "prefix": link.prefix,
        "label": link.label,
        "max_downloads": link.max_downloads,
        "max_files": link.max_files,
        "max_bytes": link.max_bytes,
        "password": link.has_password,
        "used": {"downloads": link.used.downloads, "files": link.used.files, "bytes": link.used.bytes},
        "state": link.state,
        "created_by": link.created_by,
        "created_at": link.created_at,
        "expires_at": link.expires_at,
    }


def _show_qr_code(output: Output, url: str) -> None:
    """Show a link as a QR code, or say why it cannot be shown."""
    lines = render(url)
    if lines is None:
        output.note("The terminal is too narrow for the QR code of this link.")
        return
    try:
        output.picture(lines)
    except UnicodeEncodeError:
        output.note("The terminal has no characters for a QR code. Set a UTF-8 locale, for example LC_ALL=C.UTF-8.")


def _check(name: str | None, options: dict[str, Any]) -> None:
    """Raise `UsageError` where the options do not fit the kind of link."""
    if options["upload"]:
        if name is not None and not name.endswith("/"):
            raise UsageError(f"Files are uploaded into a folder: its name must end with /, as in {name}/.")
        if options["max_downloads"] is not None:
            raise UsageError("An upload link has no downloads. Limit it by --max-files and --max-bytes.")
        return
    if not name:
        raise UsageError("Name a file or a folder: ferry share NAME. A link for uploads: ferry share --upload")
    if options["max_files"] or options["max_bytes"]:
        raise UsageError("--max-files and --max-bytes limit a link with --upload. Limit downloads by --max-downloads.")


def _read_password(descriptor: int | None, *, ask: bool) -> str | None:
    """Return the password, without the line's end; None for none. Raises `UsageError`."""
    if descriptor is not None:
        password = _read_descriptor(descriptor)
    elif PASSWORD_VARIABLE in os.environ:
        password = os.environ[PASSWORD_VARIABLE]
    elif ask:
        if not sys.stdin.isatty():
            raise UsageError(
                f"There is no terminal to ask for a password. Use --password-fd, or set {PASSWORD_VARIABLE}."
            )
        password = click.prompt("Password of the link", hide_input=True, confirmation_prompt=True, err=True)
    else:
        return None
    if not password:
        raise UsageError("The password is empty. It needs 8 to 256 bytes.")
    return password


def _read_descriptor(descriptor: int) -> str:
    data = b""
    try:
        while len(data) < _MAX_PASSWORD_BYTES and (block := os.read(descriptor, _MAX_PASSWORD_BYTES)):
            data += block
        return data.partition(b"\n")[0].rstrip(b"\r").decode()
    except OSError as error:
        raise UsageError(f"Descriptor {descriptor} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise UsageError("The password is not UTF-8.") from error


def _target(link: ShareLink) -> str:
    """Return what a link is for, as people read it."""
    return f"{'download' if link.kind == 'download' else 'upload to'} {link.filename or link.prefix}"


def _limits(link: ShareLink) -> str:
    """Return the limits of a link and what is used of them, as people read it."""
    password = ", password" if link.has_password else ""
    if link.kind == "upload":
        done, size = format_bytes(link.used.bytes), format_bytes(link.max_bytes or 0)
        return f"{link.used.files} of {link.max_files} files ({done} of {size}){password}"
    if link.max_downloads is None:
        return f"downloads unlimited{password}"
    return f"{link.used.downloads} of {link.max_downloads} downloads{password}"
