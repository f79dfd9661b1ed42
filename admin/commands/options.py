"""Options that all subcommands share, and how their help is built."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from admin.paths import LOCAL_STATE
from admin.result import CommandResult, StreamedResult

if TYPE_CHECKING:
    from admin.connect import Connection

Subparsers = Any
"""What `add_subparsers` returns; argparse keeps its type private."""

CommandHandler = Callable[[argparse.Namespace, "Connection"], CommandResult | StreamedResult]

_NAMESPACE_PATTERN = re.compile(r"[\x21-\x7e]{1,128}")
"""What a token's namespace may be, that of an external issuer included."""

EXIT_CODES = """\
exit codes:
  0  done
  1  rejected or not found; nothing was changed
  2  wrong usage, or a confirmation is needed and there is no terminal (--yes)
  3  AWS or the local service is unavailable; the change may or may not have taken effect
  130  interrupted; the change may or may not have taken effect"""


def add_group(subparsers: Subparsers, name: str, help_text: str, details: str) -> Subparsers:
    """Add a group of subcommands, `ferry-admin NAME ...`, and return what its subcommands are added to."""
    parser = subparsers.add_parser(
        name,
        help=help_text,
        description=_as_sentence(help_text),
        epilog=f"{details}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")


def add_bare_command(
    subparsers: Subparsers,
    name: str,
    help_text: str,
    handler: Callable[..., CommandResult | StreamedResult],
    *,
    examples: Sequence[str],
    details: str = "",
) -> argparse.ArgumentParser:
    """Add a command that works on no stack. `handler` gets the whole parser and the options."""
    lines = [*([details, ""] if details else []), "examples:", *(f"  {example}" for example in examples)]
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=help_text,
        description=_as_sentence(help_text),
        epilog="\n".join([*lines, "", EXIT_CODES]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=handler, needs_connection=False, output="table", local=None)
    return parser


def add_command(
    subparsers: Subparsers,
    name: str,
    help_text: str,
    handler: CommandHandler,
    *,
    examples: Sequence[str],
    details: str = "",
) -> argparse.ArgumentParser:
    """Add a command that works on a stack. `handler` gets the options and the connection."""
    parser = add_bare_command(subparsers, name, help_text, handler, examples=examples, details=details)
    parser.set_defaults(needs_connection=True)
    group = parser.add_argument_group("target (one is required)")
    targets = group.add_mutually_exclusive_group(required=True)
    targets.add_argument("--stack", metavar="NAME", help="the CloudFormation stack that `sam deploy` created")
    targets.add_argument("--table", metavar="NAME", help="the auth table alone, without the stack")
    targets.add_argument(
        "--local",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        const=LOCAL_STATE,
        help="the service that `make run` runs, by its state folder (default: the project's .local)",
    )
    access = parser.add_argument_group("AWS access and output")
    access.add_argument("--profile", metavar="NAME", help="AWS profile (default: the usual chain of credentials)")
    access.add_argument("--region", metavar="NAME", help="AWS region (default: the profile's)")
    access.add_argument(
        "--output", choices=("table", "json"), default="table", help="format of the result (default: table)"
    )
    return parser


def parse_namespace(text: str) -> str:
    """Return the name of a namespace that a token can carry. Raises `argparse.ArgumentTypeError`."""
    if not _NAMESPACE_PATTERN.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a namespace: give 1 to 128 printable ASCII characters without spaces"
        )
    return text


def _as_sentence(help_text: str) -> str:
    return f"{help_text[0].upper()}{help_text[1:]}."


def add_guard_options(parser: argparse.ArgumentParser, *, destructive: bool) -> None:
    """Add `--dry-run` and, for a command that takes something away, `--yes`."""
    parser.add_argument("--dry-run", action="store_true", help="check everything, show the result, change nothing")
    if destructive:
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
