"""What all subcommands share: where they work, and how they answer."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from admin.connect import ROOT, Connection
from admin.result import CommandResult

Subparsers = Any
"""What `add_subparsers` returns; argparse keeps its type to itself."""

CommandHandler = Callable[[argparse.Namespace, Connection], CommandResult]


def add_group(subparsers: Subparsers, name: str, help_text: str, epilog: str = "") -> Subparsers:
    """A group of subcommands, `ferry-admin NAME ...`."""
    parser = subparsers.add_parser(
        name, help=help_text, description=help_text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    return parser.add_subparsers(dest="subcommand", required=True, metavar="SUBCOMMAND")


def add_command(
    subparsers: Subparsers, name: str, help_text: str, handler: CommandHandler, epilog: str = ""
) -> argparse.ArgumentParser:
    """A subcommand; `run` gets its options and the connection."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name, help=help_text, description=help_text, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(handler=handler)
    where = parser.add_argument_group("where (one of them)")
    where.add_argument("--stack", metavar="NAME", help="the CloudFormation stack that `sam deploy` made")
    where.add_argument("--table", metavar="NAME", help="the access table alone")
    where.add_argument(
        "--local",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        const=ROOT / ".local",
        help="a running `make run`, by its folder (default: .local beside this program)",
    )
    how = parser.add_argument_group("how")
    how.add_argument("--profile", help="the AWS profile; default: the usual chain of credentials")
    how.add_argument("--region", help="the AWS region; default: the profile's")
    how.add_argument("--json", action="store_true", help="answer in JSON, for programs")
    return parser
