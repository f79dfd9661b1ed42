"""Shell completion of `ferry-admin`: what each shell offers after the words typed so far."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from admin.cli import build_parser
from admin.completion import generate

BASH_PROBE = """
{script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_ferry_admin
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
ZSH_PROBE = """
compdef() {{ }}
_describe() {{ printf '%s\\n' "${{(@)found%%:*}}" }}
{script}
words=({words})
CURRENT=$#words
_ferry_admin
"""
FISH_PROBE = """
{script}
complete -C '{line}' | string split -f 1 \\t
"""


def complete(shell: str, line: str) -> set[str]:
    """Return what the shell offers for the line. Its last word is incomplete."""
    script = generate(build_parser(), shell)
    words = " ".join(f"'{word}'" for word in line.split(" "))
    probe = {"bash": BASH_PROBE, "zsh": ZSH_PROBE, "fish": FISH_PROBE}[shell].format(
        script=script, words=words, line=line
    )
    found = subprocess.run(
        [shell, "-c", probe], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert not found.stderr
    last = line.rpartition(" ")[2]
    return {word for word in found.stdout.split() if word.startswith(last)}


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(shell, marks=pytest.mark.skipif(not shutil.which(shell), reason=f"{shell} is not installed"))
        for shell in ("bash", "zsh", "fish")
    ],
)
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ferry-admin ", {"status", "client", "key", "quota", "audit", "completion"}),
        ("ferry-admin cl", {"client"}),
        ("ferry-admin client r", {"rotate"}),
        ("ferry-admin client rotate --", {"--finish", "--undo", "--immediate", "--dry-run", "--yes", "--output"}),
        ("ferry-admin client add --output ", {"table", "json"}),
        ("ferry-admin completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_completion_offers_words(shell: str, line: str, expected: set[str]) -> None:
    """Commands, subcommands, options and values are offered where they may follow."""
    assert complete(shell, line) >= expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_covers_every_command(shell: str) -> None:
    """Each script has every subcommand and its guard options."""
    script = generate(build_parser(), shell)
    for path in ("client/disable", "key/retire", "quota/recount", "status", "export", "audit"):
        assert f"ferry-admin/{path}" in script
    assert "dry-run" in script
