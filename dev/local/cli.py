"""The command line of the local service."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dev.local import die_with_parent, state, template
from dev.local.errors import LocalError
from dev.local.runner import run
from dev.local.startup import ServiceOptions
from dev.network import aws
from dev.paths import ROOT

_STORAGE_ERRORS = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EEXIST,
        errno.EIO,
        errno.EISDIR,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
"""Errors of the disk or its permissions, which are not a defect of the program."""

_EPILOG = """\
environment (make run NAME=value passes each one):
  PORT       the API's port (3000)
  PARAMS     values for parameters of template.yaml, for example
             PARAMS="TokenTtlSeconds=60 UploadIdleTimeoutSeconds=10 CleanupSchedule=rate(5 seconds)"
             (rates in seconds work here only: AWS's shortest is one minute)
  INSTANCES  how many instances of one function may run at once (10); beyond it a request waits two seconds,
             then the gateway responds 429
  QUIET      1 prints nothing but the ready line and errors; .local/logs has the functions' logs in any case
  NETWORK    aws puts a model of AWS's delays before S3 and DynamoDB; with other numbers for example
             NETWORK=aws,s3_ms=25,s3_mb_per_second=90,dynamodb_ms=4
  CLEAN      1 deletes all state first: files, uploads, clients, keys, logs

output:
  one line that begins with `ready`, then the routes, the clients and the first commands, then one line for each request
  .local/ferry.json     the addresses, and three clients with their secrets: demo (every scope), reader (files:read,
                        the same files), other (every scope, other files)
  .local/netrc          the id and secret of client demo for curl (--netrc-file)
  .local/events.jsonl   events about uploads and files (docs/events.md)
  .local/sam-env.json   the functions' environment for `sam local start-api` (docs/local-development.md)

Files and open uploads survive a stop and a kill. Ctrl-C or SIGTERM stops everything.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service. Exit codes: 0 stopped on request, 1 could not run, 2 wrong usage."""
    given = _parser(os.environ).parse_args(arguments)
    try:
        options = ServiceOptions(
            port=given.port,
            parameters=template.parse_overrides(os.environ.get("PARAMS", "") if given.params is None else given.params),
            max_instances=given.instances,
            quiet=given.quiet,
            template_path=given.template,
            state_folder=given.state,
            record_calls=given.record_calls,
            environment=dict(given.env),
            network=given.network,
        )
        if given.clean:
            _delete_state(given.state)
        if given.exit_with_parent:
            die_with_parent.set_parent_death_signal(signal.SIGTERM)
        _clear_aws_environment()
        asyncio.run(_run(options))
    except LocalError as error:
        print(f"ferry: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in _STORAGE_ERRORS:
            raise
        print(f"ferry: {state.unusable_path(error, given.state)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.local",
        description="Run the whole service on this machine, set up from template.yaml: API gateway, functions in the "
        "real Lambda runtime, S3, DynamoDB, KMS and the cleanup schedule. Its ports are on 127.0.0.1 only, besides "
        "those of S3 and DynamoDB on the address of Docker's bridge where Docker runs.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=_parse_port, default=environ.get("PORT") or "3000", help="default: $PORT or 3000")
    add("--params", help="default: $PARAMS")
    add(
        "--env",
        type=_parse_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set an environment variable that template.yaml declares for its functions; may be repeated",
    )
    instances = environ.get("INSTANCES") or "10"
    add("--instances", type=_parse_instances, default=instances, help="default: $INSTANCES or 10")
    add("--quiet", action="store_true", default=_is_set(environ, "QUIET"), help="default: $QUIET")
    add("--clean", action="store_true", default=_is_set(environ, "CLEAN"), help="delete all state first")
    add("--network", type=_parse_network, default=environ.get("NETWORK", ""), help="default: $NETWORK or none")
    add("--template", type=Path, default=ROOT / "template.yaml", help="default: the repository's")
    add("--state", type=Path, default=ROOT / ".local", help="the folder of all state (default: .local)")
    add("--record-calls", action="store_true", help="append the AWS permissions that functions use to calls.jsonl")
    add("--exit-with-parent", action="store_true", help="stop when the parent process ends")
    return parser


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "") not in ("", "0")


def _parse_port(text: str) -> int:
    with contextlib.suppress(ValueError):
        if 0 < (port := int(text)) < 65_536:
            return port
    raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 1 to 65535")


def _parse_variable(text: str) -> tuple[str, str]:
    """Return the name and the value of an environment variable."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _parse_instances(text: str) -> int:
    with contextlib.suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is not a number of instances: give 1 or more")


def _parse_network(text: str) -> aws.AwsDelays | None:
    try:
        return aws.parse(text) if text else None
    except aws.InvalidNetworkError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _delete_state(folder: Path) -> None:
    """Delete all state, and say what is gone. Raises `LocalError` when a run uses the folder."""
    text = f"deleting {folder}: files, uploads, clients, keys and logs"
    state.delete_state(folder, lambda: print(text, file=sys.stderr, flush=True))


async def _run(options: ServiceOptions) -> None:
    started, stopping = asyncio.Event(), asyncio.Event()
    service = asyncio.create_task(run(options, started=started, stopping=stopping))

    def stop() -> None:
        # Before the start is complete, and at a second signal, tasks are cancelled instead of wound down in order.
        if stopping.is_set() or not started.is_set():
            service.cancel()
        stopping.set()

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report_exception)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    with contextlib.suppress(asyncio.CancelledError):
        await service


def _report_exception(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report errors of background tasks, except those of connections that the stop cut off."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


def _clear_aws_environment() -> None:
    """Remove the caller's AWS account and proxy from the environment: every service here is on this machine."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
