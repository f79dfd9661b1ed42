"""The help of `ferry-admin`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import pytest

from admin.cli import build_parser
from admin.commands.options import EXIT_CODES
from admin.errors import UsageError


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


@pytest.mark.parametrize("name", PARSERS)
def test_help_describes_each_argument_in_sentences(name: str) -> None:
    """A description begins with a capital, and every argument and option says what it is."""
    parser = PARSERS[name]
    assert parser.description
    assert parser.description[0].isupper()
    assert [action.dest for action in parser._actions if not action.help and not action.choices] == []


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
def test_audit_limit_below_one_is_rejected(capsys: pytest.CaptureFixture[str], limit: str) -> None:
    """`--limit` takes 1 or more: an empty result would look like an empty log."""
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["audit", "--local", f"--limit={limit}"])
    assert stop.value.code == 2
    assert f"{limit!r} is not a number of entries: give 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "hint"), [("list", "add --namespace"), ("revoke", "give the id of a link, or add")]
)
def test_links_without_selection_says_what_to_give(command: str, hint: str) -> None:
    """The hint names every way to say which links are meant: an id is one for `revoke` alone."""
    options = build_parser().parse_args(["links", command, "--local"])
    with pytest.raises(UsageError) as error:
        options.handler(options, None)
    assert error.value.hint.startswith(hint)


@pytest.mark.parametrize(
    "arguments",
    [
        ["quota", "set", "{}", "--bytes=5"],
        ["quota", "show", "{}"],
        ["quota", "recount", "{}"],
        ["export", "--namespace={}"],
        ["links", "list", "--namespace={}"],
        ["links", "revoke", "--namespace={}"],
    ],
)
@pytest.mark.parametrize("namespace", ["", "x y", "é", "n" * 129])
def test_impossible_namespace_is_rejected(
    capsys: pytest.CaptureFixture[str], arguments: list[str], namespace: str
) -> None:
    """An unset shell variable sets no quota and exports no empty list: no token carries such a namespace."""
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args([*(argument.format(namespace) for argument in arguments), "--local"])
    assert stop.value.code == 2
    assert "is not a namespace: give 1 to 128 printable ASCII characters" in capsys.readouterr().err


def test_namespace_of_an_external_issuer_is_accepted() -> None:
    """An issuer's claim may have characters that names of Ferry's own clients do not have."""
    assert build_parser().parse_args(["export", "--namespace=a+b/{c}", "--local"]).namespace == "a+b/{c}"
