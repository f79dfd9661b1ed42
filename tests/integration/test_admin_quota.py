"""`ferry-admin quota` over moto, and what clients of the namespace see of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import pytest

from admin.cli import main
from admin.commands.quota import parse_size
from tests.integration.stack import Stack
from tests.integration.test_admin import STACKS, Session

Admin = Callable[..., Any]
START = "POST /upload/start"


@pytest.fixture(autouse=True)
def stacks(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack's outputs, the ledger's too."""
    outputs = [*STACKS["ferry"]["Outputs"], {"OutputKey": "MetadataTableName", "OutputValue": "metadata"}]
    monkeypatch.setitem(STACKS, "ferry", {**STACKS["ferry"], "Outputs": outputs})
    monkeypatch.setattr("admin.connect.Session", Session)


@pytest.fixture
def admin(capsys: pytest.CaptureFixture[str]) -> Admin:
    """Runs a command that must succeed, and returns its answer."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()  # what the functions have said meanwhile
        assert main([*arguments, "--stack", "ferry", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_quota_lifecycle(stack: Stack, admin: Admin) -> None:
    """Set, refused by, recounted, raised, lifted; every change is in the audit."""
    stack.upload("before", b"12345")
    stack.post_json(START, {"filename": "open", "size": 3})
    admin("quota", "set", "demo", "--bytes", "10", "--uploads", "5", "--file", "1KiB")
    assert admin("quota", "recount", "demo") == {"namespace": "demo", "files": 1, "uploads": 1, "skipped": 0}
    assert admin("quota", "recount", "demo") == {"namespace": "demo", "files": 0, "uploads": 0, "skipped": 0}
    assert admin("quota", "show", "demo") == {
        "namespace": "demo",
        "bytes": {"limit": 10, "used": 8},
        "uploads": {"limit": 5, "used": 1},
        "file": {"limit": 1024},
    }
    refused = stack.post_json(START, {"filename": "new", "size": 3})
    assert (refused.status, refused.code) == (403, "quota_exceeded")
    admin("quota", "set", "demo", "--bytes", "1GiB")
    assert stack.post_json(START, {"filename": "new", "size": 3}).status == 201
    lifted = admin("quota", "set", "demo")
    assert lifted["bytes"] == {"limit": None, "used": 11}
    assert [entry["event"] for entry in admin("audit", "--limit", "5")].count("quota.set") == 3


def test_quota_show_without_quota_prints_hint(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to show and nothing to count for; the hint says what to do."""
    for subcommand in ("show", "recount"):
        assert main(["quota", subcommand, "nobody", "--stack", "ferry"]) == 1
        assert "ferry-admin quota set" in capsys.readouterr().err
    assert main(["quota", "set", "sizes", "--file", "7", "--stack", "ferry"]) == 0
    assert "at most 7" in capsys.readouterr().out
    assert main(["quota", "recount", "sizes", "--stack", "ferry"]) == 1


@pytest.mark.parametrize(
    ("text", "expected_bytes"), [("0", 0), ("17", 17), ("1KiB", 1024), ("3 gib", 3 * 2**30), ("5TiB", 5 * 2**40)]
)
def test_size_is_parsed(text: str, expected_bytes: int) -> None:
    """Bytes, or units of 1024 by their names."""
    assert parse_size(text) == expected_bytes


@pytest.mark.parametrize("text", ["", "-1", "1GB", "1.5GiB", "GiB", "9999999TiB", "²"])
def test_invalid_size_is_rejected(text: str) -> None:
    """Nothing is guessed at: GB might mean either."""
    with pytest.raises(argparse.ArgumentTypeError):
        parse_size(text)
