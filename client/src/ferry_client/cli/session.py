"""What the subcommands share: their common options, and the client that these describe."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ferry_client.cli.complete import complete_files, complete_profiles
from ferry_client.cli.config import config_path, is_readable_by_others, load_profile, state_path
from ferry_client.cli.output import Output
from ferry_client.cli.rate import Rate
from ferry_client.client import Ferry
from ferry_client.options import ClientOptions

Function = TypeVar("Function", bound=Callable[..., Any])

_DURATION_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
"""Seconds by unit."""

_CA_FILE = "ferry_client.ca_file"
"""Key of `Context.meta` for the value of --ca-file."""

_WAIT_FOR_NAME = "ferry_client.wait_for_name"
"""Key of `Context.meta` for `ClientOptions.wait_for_name`."""

MAX_JOBS = 64
"""Largest number for --jobs."""


class Duration(click.ParamType):
    """A duration such as `90`, `90s`, `15m`, `12h` or `2d`, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", value)
        if match is None:
            self.fail(f"{value!r} is no duration. Write for example 90s, 15m, 12h or 2d.", param, ctx)
        return float(match[1]) * _DURATION_SECONDS[match[2] or "s"]


class Jobs(click.ParamType):
    """A number of requests at once; `auto` is None."""

    name = "jobs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value == "auto" or isinstance(value, int):
            return None if value == "auto" else int(value)
        if not re.fullmatch(r"[1-9]\d?", value) or int(value) > MAX_JOBS:
            self.fail(f"{value!r} is no number of jobs. Write auto, or 1 to {MAX_JOBS}.", param, ctx)
        return int(value)


def _keep_ca_file(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    del param
    ctx.meta[_CA_FILE] = value


ca_file_option = click.option(
    "--ca-file",
    metavar="FILE",
    shell_complete=complete_files,
    envvar="FERRY_CA_FILE",
    expose_value=False,
    callback=_keep_ca_file,
    help="Trust these certificate authorities (PEM), too; or set FERRY_CA_FILE.",
)
"""The option of each subcommand that connects; `chosen_ca_file` returns its value."""


def chosen_ca_file() -> str | None:
    """Return the file of certificate authorities that the running subcommand trusts; None: those of the system."""
    file: str | None = click.get_current_context().meta.get(_CA_FILE)
    return file


def _connection_options(function: Function, retry_for: str, *, is_transfer: bool) -> Function:
    """Add the options of all subcommands that connect. `is_transfer`: an unknown host is waited for."""

    def keep_wait_for_name(ctx: click.Context, param: click.Parameter, value: float) -> float:
        del param
        is_chosen = ctx.get_parameter_source("retry_for") is not ParameterSource.DEFAULT
        ctx.meta[_WAIT_FOR_NAME] = is_transfer or is_chosen
        return value

    for option in reversed(
        (
            click.option(
                "--profile",
                metavar="NAME",
                shell_complete=complete_profiles,
                help="Use this profile of the configuration file.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Write JSON lines to standard output."),
            click.option("-q", "--quiet", is_flag=True, help="Show results and errors only."),
            click.option(
                "--retry-for",
                type=Duration(),
                default=retry_for,
                show_default=True,
                callback=keep_wait_for_name,
                help="How long to keep trying while nothing succeeds.",
            ),
            ca_file_option,
        )
    ):
        function = option(function)
    return function


def connection_options(function: Function) -> Function:
    """Add the options of subcommands whose requests are short. A host that is unknown ends them at once."""
    return _connection_options(function, "1m", is_transfer=False)


def long_connection_options(function: Function) -> Function:
    """Add the options of subcommands that run for long, and may start before the network is ready."""
    return _connection_options(function, "15m", is_transfer=True)


def transfer_options(function: Function) -> Function:
    """Add the options of subcommands that transfer files."""
    for option in reversed(
        (
            click.option(
                "-j",
                "--jobs",
                type=Jobs(),
                default="auto",
                show_default=True,
                metavar="auto|N",
                help="How many requests transfer bytes at once; auto: as many as bring more.",
            ),
            click.option(
                "--limit-rate",
                type=Rate(),
                metavar="RATE",
                help="Bytes a second, e.g. 2M, or a timetable, e.g. '08:00,512K 18:00,off'.",
            ),
            click.option("--no-direct", is_flag=True, help="Move no byte straight to or from S3: the API alone."),
        )
    ):
        function = option(function)
    return function


def walk_options(include_help: str, symlinks_help: str) -> Callable[[Function], Function]:
    """Return a decorator that adds the options of subcommands which send folders."""

    def add(function: Function) -> Function:
        for option in reversed(
            (
                click.option("--include", multiple=True, metavar="PATTERN", help=include_help),
                click.option(
                    "--exclude", multiple=True, metavar="PATTERN", help="Leave out what matches, e.g. .git. Repeatable."
                ),
                click.option(
                    "--symlinks",
                    type=click.Choice(["skip", "follow", "keep"]),
                    default="skip",
                    show_default=True,
                    help=symlinks_help,
                ),
            )
        ):
            function = option(function)
        return function

    return add


def open_transfer_client(options: dict[str, Any], output: Output) -> Ferry:
    """Return a client by the options of a subcommand that transfers files. Raises `UsageError`."""
    return open_client(
        options["profile"],
        options["retry_for"],
        jobs=options["jobs"],
        limit_rate=options["limit_rate"],
        no_direct=options["no_direct"],
        output=output,
    )


def open_client(
    profile: str | None,
    retry_for: float,
    *,
    jobs: int | None = None,
    limit_rate: Callable[[], int | None] | None = None,
    no_direct: bool = False,
    output: Output | None = None,
) -> Ferry:
    """Return a client by the profile and the options of a subcommand. Raises `UsageError`."""
    chosen = load_profile(profile)
    if output is not None and is_readable_by_others():
        output.note(f"Other users can read {config_path()}, which has a secret. Run: chmod 600 {config_path()}")
    options = ClientOptions(
        retry_for_seconds=retry_for,
        max_jobs=jobs,
        rate_limit_bytes=limit_rate,
        allow_direct=not no_direct,
        ca_file=chosen_ca_file(),
        wait_for_name=click.get_current_context().meta.get(_WAIT_FOR_NAME, True),
    )
    ferry = Ferry(
        chosen.url,
        client_id=chosen.client_id,
        client_secret=chosen.client_secret,
        options=options,
        state_dir=state_path(),
    )
    if output is not None:
        ferry.api.on_retry = output.retrying
    return ferry
