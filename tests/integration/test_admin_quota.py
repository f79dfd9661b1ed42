"""`ferry-admin quota` over moto, and what clients of the namespace notice."""

from __future__ import annotations

import argparse

import pytest

from admin.cli import main
from admin.commands.quota import parse_size
from tests.integration.admin_commands import Admin, admin, stacks
from tests.integration.stack import Stack

__all__ = ["admin", "stacks"]
START = "POST /upload/start"


def test_quota_commands_set_recount_enforce_and_lift(stack: Stack, admin: Admin) -> None:
    """A quota is set, recounted, enforced, raised and lifted; the audit log has every change."""
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
    rejected = stack.post_json(START, {"filename": "new", "size": 3})
    assert (rejected.status, rejected.code) == (403, "quota_exceeded")
    admin("quota", "set", "demo", "--bytes", "1GiB")
    assert stack.post_json(START, {"filename": "new", "size": 3}).status == 201
    lifted = admin("quota", "set", "demo")
    assert lifted["bytes"] == {"limit": None, "used": 11}
    assert [entry["event"] for entry in admin("audit", "--limit", "5")].count("quota.set") == 3


def test_quota_show_without_quota_prints_hint(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a quota there is nothing to show or recount; the hint names the command that sets one."""
    for subcommand in ("show", "recount"):
        assert main(["quota", subcommand, "unknown", "--stack", "ferry"]) == 1
        assert "ferry-admin quota set" in capsys.readouterr().err
    assert main(["quota", "set", "sizes", "--file", "7", "--stack", "ferry"]) == 0
    assert "7 B" in capsys.readouterr().out
    assert main(["quota", "recount", "sizes", "--stack", "ferry"]) == 1


@pytest.mark.parametrize(
    ("text", "expected_bytes"), [("0", 0), ("17", 17), ("1KiB", 1024), ("3 gib", 3 * 2**30), ("5TiB", 5 * 2**40)]
)
def test_size_is_parsed(text: str, expected_bytes: int) -> None:
    """A size is a number of bytes, or has a unit of 1024."""
    assert parse_size(text) == expected_bytes


@pytest.mark.parametrize("text", ["", "-1", "1GB", "1.5GiB", "GiB", "9999999TiB", "²"])
def test_invalid_size_is_rejected(text: str) -> None:
    """An ambiguous or malformed size is rejected: GB might mean 10^9 or 2^30 bytes."""
    with pytest.raises(argparse.ArgumentTypeError):
        parse_size(text)
