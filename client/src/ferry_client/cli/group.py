"""The group of the subcommands. Each is imported when it is run: `ferry --help` needs none of them."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping

import click

from ferry_client import __version__
from ferry_client.cli.exit_codes import HELP

COMMANDS: Mapping[str, str] = {
    "cancel": "Cancel an upload in progress.",
    "cat": "Write a file to standard output.",
    "completion": "Print the script that completes commands in a shell.",
    "doctor": "Check the way to the service, and say what to fix.",
    "get": "Download files and folders.",
    "login": "Save the service's URL and a client's secret.",
    "ls": "List files and folders.",
    "mv": "Rename a file or folder.",
    "put": "Upload files, folders or standard input.",
    "restore": "Restore a deleted or replaced file.",
    "rm": "Delete files.",
    "share": "Create links for people without an account.",
    "spool": "Watch a folder, and send each file that no longer changes.",
    "stat": "Show a file's record.",
    "status": "Show uploads in progress.",
    "sync": "Make a folder on the service like a local one, or the reverse.",
}
"""The subcommands, with their summaries; each is the command `command` of `ferry_client.cli.<name>`."""


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"ferry_client.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand; the error of an unknown one names a similar one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            similar = difflib.get_close_matches(args[0], COMMANDS, 1)
            if similar and "Did you mean" not in error.message:
                error.message += f" Did you mean {similar[0]}?"
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries without importing the subcommands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=HELP,
)
@click.version_option(__version__, message="ferry %(version)s")
def ferry() -> None:
    """Move files to and from a Ferry service, over lines that break.

    Every transfer continues where it stopped: run the same command again after Ctrl-C, a crash or a lost network.

    \b
    ferry login https://files.example.com
    ferry put video.mp4 videos/
    ferry get videos/video.mp4
    ferry ls videos/
    """
