"""Dry runs and confirmations."""

from __future__ import annotations

import argparse
import io
import sys
from typing import Any, cast

import pytest

from admin.commands.guard import guarded_result, run_guarded
from admin.connect import Connection
from admin.errors import AdminError, UsageError
from admin.ports import AdminContext
from admin.result import CommandResult


class FakeConnection:
    """Has two contexts, which the tests tell apart by name."""

    context = "write"
    dry_run_context = "dry run"


class Terminal(io.StringIO):
    """Stdin of a person."""

    def isatty(self) -> bool:
        return True


def run(question: str = "Drop it?", **options: bool) -> list[str]:
    """Return the contexts that the operation ran with."""
    contexts: list[str] = []

    def operation(context: AdminContext) -> None:
        contexts.append(cast("str", context))

    given = argparse.Namespace(**{"dry_run": False, "yes": False, **options})
    run_guarded(given, cast("Connection", FakeConnection()), operation, question=question)
    return contexts


def test_dry_run_writes_nothing() -> None:
    """A dry run needs no confirmation, and uses the context that writes nothing."""
    assert run(dry_run=True) == ["dry run"]


def test_yes_skips_confirmation() -> None:
    """With --yes the operation runs at once."""
    assert run(yes=True) == ["write"]


def test_command_without_question_runs() -> None:
    """A command that takes nothing away needs no confirmation."""
    assert run(question="") == ["write"]


def test_confirmation_without_terminal_is_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script cannot answer: the error names the options that help."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError) as raised:
        run()
    assert "--yes" in raised.value.hint
    assert "--dry-run" in raised.value.hint


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_confirmation_runs_after_checks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    """What would be rejected is rejected before the question; the question is on stderr."""
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert run() == ["dry run", "write"]
    captured = capsys.readouterr()
    assert captured.err == "Drop it? [y/N] "
    assert captured.out == ""


@pytest.mark.parametrize("answer", ["n\n", "\n", ""])
def test_confirmation_denied_changes_nothing(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    """Anything but yes, also the end of the input, changes nothing."""
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    with pytest.raises(AdminError, match="not confirmed"):
        run()


def test_dry_run_result_is_marked() -> None:
    """Table and JSON both say that it was a dry run."""
    result: Any = CommandResult({"state": "disabled"}, ["a is disabled"])
    marked = guarded_result(argparse.Namespace(dry_run=True), result)
    assert marked.data == {"state": "disabled", "dry_run": True}
    assert marked.lines == ["dry run: a is disabled"]
    assert "Nothing was changed" in marked.note
    assert guarded_result(argparse.Namespace(dry_run=False), result) is result
