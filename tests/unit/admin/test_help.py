"""The help of `ferry-admin`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from admin.cli import build_parser
from admin.commands.options import EXIT_CODES


def walk(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parser and those of all its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from walk(child)


PARSERS = {parser.prog: parser for parser in walk(build_parser())}


def test_parser_has_expected_commands() -> None:
    """Every command, by its full name."""
    leaves = {name.removeprefix("ferry-admin ") for name, parser in PARSERS.items() if "handler" in parser._defaults}
    assert leaves == {
        "status",
        *(f"client {name}" for name in ("add", "list", "show", "rotate", "disable", "enable")),
        *(f"key {name}" for name in ("list", "add", "activate", "retire")),
        *(f"links {name}" for name in ("list", "revoke")),
        *(f"quota {name}" for name in ("set", "show", "recount")),
        "export",
        "audit",
        "completion",
    }


@pytest.mark.parametrize("name", PARSERS)
def test_help_has_examples_and_exit_codes(name: str) -> None:
    """Each help ends with examples of that very command, and says what the exit codes mean."""
    text = PARSERS[name].format_help()
    examples = text.partition("examples:\n")[2]
    assert name in examples
    assert EXIT_CODES in text


@pytest.mark.parametrize("name", [name for name, parser in PARSERS.items() if parser._defaults.get("needs_connection")])
def test_command_has_common_options(name: str) -> None:
    """Every command that works on a stack takes a target and an output format."""
    text = PARSERS[name].format_help()
    for option in ("--stack", "--table", "--local", "--profile", "--region", "--output {table,json}"):
        assert option in text


@pytest.mark.parametrize("name", ["client rotate", "client disable", "key activate", "key retire"])
def test_command_that_takes_something_away_has_guard_options(name: str) -> None:
    """It can be tried without an effect, and confirmed without a terminal."""
    text = PARSERS[f"ferry-admin {name}"].format_help()
    assert "--dry-run" in text
    assert "--yes" in text
