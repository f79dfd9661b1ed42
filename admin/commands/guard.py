"""Dry runs and confirmations of commands that change or take away something."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from admin.errors import AdminError, UsageError
from admin.ports import AdminContext
from admin.result import CommandResult

if TYPE_CHECKING:
    from admin.connect import Connection

T = TypeVar("T")


def run_guarded(
    options: argparse.Namespace,
    connection: Connection,
    operation: Callable[[AdminContext], T],
    *,
    question: str = "",
) -> T:
    """Run the operation and return its result; with `--dry-run`, run it without writing.

    Args:
        options: have `dry_run`, and `yes` if there is a question.
        connection: where to run it.
        operation: gets the context to read and write with.
        question: to be confirmed first, unless `--yes` is given; empty if nothing is taken away.

    Raises:
        UsageError: a confirmation is needed, and stdin is not a terminal.
        AdminError: not confirmed, or rejected by the operation.
    """
    if options.dry_run:
        return operation(connection.dry_run_context)
    if question and not options.yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "this needs a confirmation, and stdin is not a terminal", "add --yes, or try --dry-run first"
            )
        operation(connection.dry_run_context)
        _confirm(question)
    return operation(connection.context)


def guarded_result(options: argparse.Namespace, result: CommandResult) -> CommandResult:
    """Return the result, marked as a dry run if it was one."""
    if not options.dry_run:
        return result
    data = {**result.data, "dry_run": True} if isinstance(result.data, dict) else result.data
    lines = [f"dry run: {line}" for line in result.lines]
    return replace(result, data=data, lines=lines, note="Nothing was changed. Run it without --dry-run to apply it.")


def _confirm(question: str) -> None:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise AdminError("not confirmed; nothing was changed", "answer y, or pass --yes")
