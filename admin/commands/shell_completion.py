"""`ferry-admin completion`."""

from __future__ import annotations

import argparse

from admin.commands.options import Subparsers, add_bare_command
from admin.completion import generate
from admin.result import CommandResult

SHELLS = ("bash", "zsh", "fish")


def register(subparsers: Subparsers) -> None:
    parser = add_bare_command(
        subparsers,
        "completion",
        "print the completion script of a shell",
        _print,
        examples=[
            "source <(ferry-admin completion bash)     # in ~/.bashrc",
            "source <(ferry-admin completion zsh)      # in ~/.zshrc, after compinit",
            "ferry-admin completion fish | source      # in ~/.config/fish/config.fish",
        ],
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def _print(parser: argparse.ArgumentParser, options: argparse.Namespace) -> CommandResult:
    script = generate(parser, options.shell)
    return CommandResult(script, script.splitlines())
