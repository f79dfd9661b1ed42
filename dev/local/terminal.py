"""What the local service prints for people: the ready line, the guide below it, and one line for each request."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dev.local import sam_cli, tcp_ports
from dev.local.clients import NETRC_FILE, LocalClient
from dev.local.routing import Route

_METHOD_ORDER = "ANY GET HEAD OPTIONS POST PUT PATCH DELETE"
_MAX_METHOD_LENGTH = 8
"""Characters of a request's method that are printed: a client may send any word as its method."""


@dataclass(frozen=True, slots=True)
class ReadyInfo:
    """What the ready line and the guide say."""

    requested_port: int
    """The port that was asked for."""
    port: int
    """The port that the service listens on: another one where the requested port was taken."""
    s3_url: str
    """S3 on the loopback interface."""
    dynamodb_url: str
    """DynamoDB and KMS on the loopback interface."""
    state_folder: Path
    """The folder of all state."""
    clients: Sequence[LocalClient]
    """The clients that may ask for tokens."""
    routes: Sequence[Route]
    """The routes of the API."""
    relay_address: str | None
    """Docker's bridge address on which S3 and DynamoDB are relayed, or None without a relay."""

    @property
    def base_url(self) -> str:
        return f"http://{tcp_ports.HOST}:{self.port}"


def ready_line(info: ReadyInfo) -> str:
    """Return the line that says that the service is up, and where."""
    taken = ""
    if info.port != info.requested_port:
        taken = f" (port {info.requested_port} is taken; choose another with PORT=)"
    clients_at = short_path(info.state_folder / "ferry.json")
    return f"ready {info.base_url}{taken} · clients in {clients_at} · S3 {info.s3_url} · DynamoDB {info.dynamodb_url}"


def guide(info: ReadyInfo) -> str:
    """Return the routes, the clients and the first commands. It has no secret: it names the file that has them."""
    routes = _routes_by_path(info.routes)
    width = max(map(len, routes), default=0)
    lines = ["", "Routes"]
    lines += [f"  {path:<{width}}  {', '.join(methods)}" for path, methods in routes.items()]
    lines += ["", f"Clients (their secrets are in {short_path(info.state_folder / 'ferry.json')})"]
    lines += [
        f"  {client.client_id:<8} namespace {client.namespace:<8} {' '.join(client.scopes)}" for client in info.clients
    ]
    netrc = shlex.quote(str(info.state_folder.resolve() / NETRC_FILE))
    lines += [
        "",
        "Paste into another terminal: the token of client demo, and a list of its files",
        f"  TOKEN=$(curl -sS --netrc-file {netrc} -d grant_type=client_credentials \\",
        f'    {info.base_url}/auth/token | sed \'s/.*"access_token": *"\\([^"]*\\)".*/\\1/\')',
        f'  curl -sS -H "Authorization: Bearer $TOKEN" {info.base_url}/files; echo',
        "",
        f"Console: {info.base_url}/console (sign in as demo)",
        _docker_line(info),
        f"Ctrl-C stops. Files and open uploads stay in {short_path(info.state_folder)}, until make run CLEAN=1.",
        "",
    ]
    return "\n".join(lines)


def _docker_line(info: ReadyInfo) -> str:
    url = f"http://{tcp_ports.HOST}:{sam_cli.API_PORT}"
    if info.relay_address is None:
        return "The same functions in containers: start Docker, then `make run` again."
    return f"The same functions in containers, on {url}: sam build && sam local start-api"


def _routes_by_path(routes: Sequence[Route]) -> Mapping[str, list[str]]:
    """Return the methods of each path, both in reading order."""
    found: dict[str, list[str]] = {}
    for route in sorted(routes, key=lambda route: (route.path, _METHOD_ORDER.find(route.method))):
        found.setdefault(route.path, []).append(route.method)
    return found


def short_path(path: Path) -> str:
    """Return a path relative to the current folder where it is below that, else as it is."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def print_request(method: str, route: Route | None, status: int, duration_seconds: float) -> None:
    """Print one line for a request to stderr: time, status, method, route and duration.

    The route is the template's (`GET /download/{filename+}`), so no line has a file's name, a query or a secret.
    """
    path = route.path if route is not None else "(no such route)"
    _print_timed(f"{status} {method[:_MAX_METHOD_LENGTH]:<6} {path:<30} {duration_seconds * 1000:>6.0f} ms")


def print_event(detail_type: str, event_id: str) -> None:
    """Print one line for a published event to stderr: time, type and id. It has no file's name."""
    _print_timed(f"event      {detail_type} {event_id}")


def _print_timed(text: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def progress(text: str, *, quiet: bool) -> None:
    """Print what happens while the service starts or stops, to stderr."""
    if not quiet:
        print(text, file=sys.stderr, flush=True)
