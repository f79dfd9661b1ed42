"""`ferry completion`."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    \b
    ferry completion bash > ~/.local/share/bash-completion/completions/ferry
    ferry completion zsh > ~/.zfunc/_ferry
    ferry completion fish > ~/.config/fish/completions/ferry.fish
    """
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    assert completion is not None
    click.echo(completion(root, {}, "ferry", "_FERRY_COMPLETE").source())
