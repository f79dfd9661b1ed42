"""The command line of `ferry-admin`: parser, output, exit codes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from admin.commands import audit, client, export, key, links, quota, shell_completion, status
from admin.commands.options import EXIT_CODES
from admin.errors import AdminError, UsageError
from admin.result import CommandResult, StreamedResult
from ferry.errors import BackendUnavailable

COMMAND_MODULES = (status, client, key, links, quota, export, audit, shell_completion)
EXIT_DONE, EXIT_REJECTED, EXIT_USAGE, EXIT_BACKEND_UNAVAILABLE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130
_REJECTED_CODES = ("AccessDeniedException", "ResourceNotFoundException", "UnrecognizedClientException")
"""AWS error codes for which a retry is useless."""
_CHECK_COMMANDS = {"client": "client list", "key": "key list", "links": "links list", "quota": "quota show"}
"""By group of commands, the command that shows whether a change took effect."""
_READING_COMMANDS = ("export", "audit", "status")
"""Commands that change nothing."""
_EPILOG = f"""\
examples:
  ferry-admin status --stack ferry
  ferry-admin client add camera-7 --namespace acme --stack ferry
  ferry-admin key list --local --output json
  ferry-admin COMMAND --help

In a checkout, type ./ferry-admin, or link it into a folder of your PATH: ln -s "$PWD/ferry-admin" ~/.local/bin/

{EXIT_CODES}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        result = _run(options) if options.needs_connection else options.handler(parser, options)
        _print_result(result, as_json=options.output == "json")
    except AdminError as error:
        _print_error(str(error), error.hint, error, as_json=options.output == "json")
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_REJECTED
    except BackendUnavailable as error:
        rejected = _is_rejection(error)
        describe = _describe_rejection if rejected else _describe_outage
        _print_error(*describe(options, error), error, as_json=options.output == "json")
        return EXIT_REJECTED if rejected else EXIT_BACKEND_UNAVAILABLE
    except BrokenPipeError:
        # The reader of the pipe has closed it (`| head`). Keep Python from failing on its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"\nferry-admin: interrupted; {_describe_uncertainty(options)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    return EXIT_DONE


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = argparse.ArgumentParser(
        prog="ferry-admin",
        description="Manage a Ferry stack: clients, signing keys, links, quotas, export, the audit log.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMAND_MODULES:
        module.register(subparsers)
    return parser


def _run(options: argparse.Namespace) -> CommandResult | StreamedResult:
    # Imported here so that `--help` and `completion` start without botocore (0.5 s).
    from admin.connect import connect

    result: CommandResult | StreamedResult = options.handler(options, connect(options))
    return result


def _print_result(result: CommandResult | StreamedResult, *, as_json: bool) -> None:
    if isinstance(result, StreamedResult):
        for line in result.lines:
            print(line)
        sys.stdout.flush()
    else:
        print(json.dumps(result.data, indent=2) if as_json else "\n".join(result.lines), flush=True)
    if result.note:
        print(result.note, file=sys.stderr)


def _is_rejection(error: BackendUnavailable) -> bool:
    from botocore.exceptions import ClientError

    from ferry.aws.errors import error_code

    return isinstance(error.__cause__, ClientError) and error_code(error.__cause__) in _REJECTED_CODES


def _describe_rejection(_: argparse.Namespace, error: BackendUnavailable) -> tuple[str, str]:
    """Return what AWS rejected and what to do next."""
    return (
        f"AWS rejected the request: {error.__cause__}",
        "check the name, the region and your permissions",
    )


def _describe_outage(options: argparse.Namespace, error: BackendUnavailable) -> tuple[str, str]:
    """Return what happened and what to do next."""
    service = "the local service" if options.local is not None else "AWS"
    message = f"{service} did not complete the request: {error.__cause__ or 'no response'}"
    if options.local is not None:
        return message, "check that it runs (`make run`), then try again"
    return message, f"{_describe_uncertainty(options)}, then try again"


def _describe_uncertainty(options: argparse.Namespace) -> str:
    """Return that the change may have taken effect, and the command that shows whether it has."""
    if options.command in _READING_COMMANDS:
        return "the output is incomplete, and nothing was changed"
    return f"the change may or may not have taken effect: check with `{_CHECK_COMMANDS.get(options.command, 'audit')}`"


def _print_error(message: str, hint: str, error: Exception, *, as_json: bool) -> None:
    hints = [hint, *getattr(error, "__notes__", ())]
    if as_json:
        print(json.dumps({"error": message, "hint": "; ".join(hints)}, indent=2), file=sys.stderr)
    else:
        print("\n  ".join([f"ferry-admin: {message}", *hints]), file=sys.stderr)
