"""What a shell offers when a key asks it to complete a command."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from ferry_client.cli import group
from ferry_client.cli.config import Profile, save_profile


def offers(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[tuple[str, str]]:
    """Return kind and value of what completes the last word."""
    monkeypatch.setenv("COMP_WORDS", " ".join(["ferry", *words]))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    completion = BashComplete(group.ferry, {}, "ferry", "_FERRY_COMPLETE")
    return [(item.type, item.value) for item in completion.get_completions(list(words[:-1]), words[-1])]


def test_profiles_are_offered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The names in the configuration file, also where several commands share the option."""
    monkeypatch.setenv("FERRY_CONFIG_DIR", str(tmp_path))
    assert offers(monkeypatch, "ls", "--profile", "") == []
    for name in ("field", "home"):
        save_profile(name, Profile("https://ferry.test", "camera-7", "s3cret"))
    assert offers(monkeypatch, "ls", "--profile", "") == [("plain", "field"), ("plain", "home")]
    assert offers(monkeypatch, "share", "ls", "--profile", "h") == [("plain", "home")]
    (tmp_path / "config.toml").write_text("no TOML [")
    assert offers(monkeypatch, "ls", "--profile", "") == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["put", "vi"], "file"),
        (["get", "videos/2026.mp4", "vi"], "file"),
        (["ls", "--ca-file", "vi"], "file"),
        (["sync", "vi"], "dir"),
        (["sync", "backup/", "vi"], "dir"),
        (["spool", "vi"], "dir"),
    ],
)
def test_local_paths_are_offered(monkeypatch: pytest.MonkeyPatch, words: list[str], kind: str) -> None:
    """Where a command takes a local path, the shell offers files or folders."""
    assert offers(monkeypatch, *words) == [(kind, "vi")]


@pytest.mark.parametrize("name", sorted(group.COMMANDS))
def test_subcommands_and_options_are_offered(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each subcommand, and its options."""
    assert ("plain", name) in offers(monkeypatch, name[:2])
    command = importlib.import_module(f"ferry_client.cli.{name}").command
    assert ("plain", "--help") in offers(monkeypatch, name, "--")
    assert command.name == name
