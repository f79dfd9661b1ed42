"""The command line of the local service."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dev.local import die_with_parent, state, template
from dev.local.errors import LocalError
from dev.local.runner import ServiceOptions, run
from dev.paths import ROOT

_EPILOG = """\
environment:
  PORT      the port to listen on (3000)
  PARAMS    parameters of template.yaml, for example
            PARAMS="TokenTtlSeconds=60 UploadIdleTimeoutSeconds=10 CleanupSchedule=rate(5 seconds)"
            (seconds work here only; AWS's least unit is the minute)
  INSTANCES how many copies of one function may run at once (10); past it the gateway answers 429
  QUIET     1 keeps the functions' logs off the terminal (they are in .local/logs in any case)

what you get:
  one line that begins with `ready`, and .local/ferry.json with the addresses and three clients:
  demo (every scope), reader (files:read, the same files), other (every scope, other files).
  What happens to uploads and files is told in .local/events.jsonl (docs/events.md).
  Files and half-done uploads survive a stop and a kill; Ctrl-C stops all.

try:
  curl http://127.0.0.1:3000/health
  curl -u demo:SECRET -d grant_type=client_credentials http://127.0.0.1:3000/auth/token
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit codes: 0 stopped as asked, 1 could not run, 2 wrong usage."""
    try:
        given = _parser(os.environ).parse_args(arguments)
        if given.reset:
            return _reset_state(given.state, confirmed=given.yes)
        options = ServiceOptions(
            port=given.port,
            parameters=template.parse_overrides(os.environ.get("PARAMS", "") if given.params is None else given.params),
            max_instances=given.instances,
            quiet=given.quiet,
            template_path=given.template,
            state_folder=given.state,
            record_calls=given.record_calls,
            environment=dict(given.env),
        )
        if given.exit_with_parent:
            die_with_parent.set_parent_death_signal(signal.SIGTERM)
        _clear_aws_environment()
        asyncio.run(_run(options))
    except LocalError as error:
        print(f"ferry: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dev.local",
        description="The whole service on this machine, set up from template.yaml: API gateway, functions in the real "
        "Lambda runtime, S3, DynamoDB, KMS and the clean-up's schedule. Listens on 127.0.0.1 only.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--port", type=_parse_port, default=environ.get("PORT") or "3000", help="default: $PORT or 3000"
    )
    parser.add_argument("--params", help="default: $PARAMS")
    parser.add_argument(
        "--env",
        type=_parse_variable,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set an environment variable that template.yaml declares for its functions; may be repeated",
    )
    parser.add_argument(
        "--instances", type=_parse_positive, default=environ.get("INSTANCES") or "10", help="default: $INSTANCES or 10"
    )
    parser.add_argument("--quiet", action="store_true", default=environ.get("QUIET", "") not in ("", "0"))
    parser.add_argument("--template", type=Path, default=ROOT / "template.yaml", help="default: the repository's")
    parser.add_argument(
        "--state", type=Path, default=ROOT / ".local", help="the folder for all state (default: .local)"
    )
    parser.add_argument(
        "--record-calls", action="store_true", help="note what each function calls at AWS, in calls.jsonl of the state"
    )
    parser.add_argument(
        "--exit-with-parent", action="store_true", help="stop when the process that started this one ends"
    )
    parser.add_argument("--reset", action="store_true", help="delete all state: files, uploads, clients, logs")
    parser.add_argument("--yes", action="store_true", help="with --reset: do not ask")
    return parser


def _parse_port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65_536:
        raise argparse.ArgumentTypeError("a port is 1 to 65535")
    return port


def _parse_variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _parse_positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _reset_state(folder: Path, *, confirmed: bool) -> int:
    if not folder.exists():
        print(f"there is no {folder}")
        return 0
    if not confirmed:
        try:
            confirmed = input(f"Delete {folder} with all files and uploads in it? [y/N] ").strip().lower() in (
                "y",
                "yes",
            )
        except EOFError:
            confirmed = False
    if not confirmed:
        print("nothing deleted")
        return 1
    state.delete_state(folder)
    print(f"deleted {folder}")
    return 0


async def _run(options: ServiceOptions) -> None:
    started, stopping = asyncio.Event(), asyncio.Event()
    service = asyncio.create_task(run(options, started=started, stopping=stopping))

    def stop() -> None:
        # Before it is up there is nothing to wind down in order; and who asks twice is in a hurry.
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
    """Tell of what failed in the background, but not of connections that were cut off by the end."""
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)


def _clear_aws_environment() -> None:
    """Forget the AWS account and the proxy of whoever starts this: everything here is on this machine."""
    for name in list(os.environ):
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy"):
            del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
