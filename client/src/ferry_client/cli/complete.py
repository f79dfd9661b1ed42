"""What a shell offers for arguments. Nothing here asks the service: a key must not wait for the network."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from ferry_client.cli.config import profile_names
from ferry_client.errors import UsageError


def complete_files(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell offer local files and folders."""
    del ctx, param
    return [CompletionItem(incomplete, type="file")]


def complete_folders(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell offer local folders."""
    del ctx, param
    return [CompletionItem(incomplete, type="dir")]


def complete_profiles(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the profiles of the configuration file; none if it cannot be read."""
    del ctx, param
    try:
        return [CompletionItem(name) for name in profile_names() if name.startswith(incomplete)]
    except UsageError:
        return []
