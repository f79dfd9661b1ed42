"""`ferry login`."""

from __future__ import annotations

import os
import sys

import click

from ferry_client.cli.config import Profile, save_profile
from ferry_client.cli.output import Output
from ferry_client.cli.session import ca_file_option, chosen_ca_file
from ferry_client.client import Ferry
from ferry_client.errors import UsageError
from ferry_client.options import ClientOptions

_RETRY_FOR_SECONDS = 20.0
"""How long a login is tried: a person waits for it."""


@click.command("login")
@click.argument("url")
@click.option("--client-id", help="The client's id; asked for if it is missing.")
@click.option("--profile", metavar="NAME", help="Save under this name, for --profile of other commands.")
@ca_file_option
def command(url: str, client_id: str | None, profile: str | None) -> None:
    """Save the service's URL and a client's id and secret, after trying them.

    The secret is asked for, or read from FERRY_CLIENT_SECRET; it is no argument, because arguments are visible to other
    users. The file is readable by you alone.

    \b
    ferry login https://files.example.com
    ferry login https://files.example.com --client-id camera-7 --profile field
    """
    client_id = client_id or os.environ.get("FERRY_CLIENT_ID") or _ask("Client id", "--client-id")
    secret = os.environ.get("FERRY_CLIENT_SECRET") or _ask("Client secret", "FERRY_CLIENT_SECRET", hide_input=True)
    if url.startswith("http://") and not _is_loopback(url):
        click.echo("Warning: http:// sends the secret unencrypted. Use https:// if the service has it.", err=True)
    options = ClientOptions(retry_for_seconds=_RETRY_FOR_SECONDS, wait_for_name=False, ca_file=chosen_ca_file())
    with Ferry(url, client_id=client_id, client_secret=secret, options=options) as ferry:
        ferry.api.on_retry = Output().retrying
        ferry.api.authenticate()
    path = save_profile(profile, Profile(url.rstrip("/"), client_id, secret))
    click.echo(f"Logged in to {url}. Saved in {path}.", err=True)


def _ask(what: str, alternative: str, *, hide_input: bool = False) -> str:
    """Ask on the terminal. Raises `UsageError` if there is none and standard input has no answer."""
    try:
        answer: str = click.prompt(what, hide_input=hide_input, err=True)
    except click.Abort as error:
        if sys.stdin.isatty():
            raise
        raise UsageError(f"There is no terminal to ask for the {what.lower()}. Give it by {alternative}.") from error
    return answer


def _is_loopback(url: str) -> bool:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
