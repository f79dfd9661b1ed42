"""The commands of `ferry` and of S3's clients that move the same files to and from one S3 server."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.bench.service import BenchService
from dev.paths import ROOT

BUCKET = "clients"
"""The bucket of S3's clients."""

FERRY = "ferry"
"""The name of the client that is measured."""

JOBS = "8"
"""Requests of ferry at once. S3's clients have their defaults."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client that moves files."""

    name: str
    """Its name in the tables."""

    environment: Mapping[str, str]
    """Its whole environment."""

    put_file: Sequence[str]
    """Command that sends a file. `{file}` and `{name}` are replaced."""

    get_file: Sequence[str]
    """Command that fetches it again."""

    put_folder: Sequence[str]
    """Command that sends the files of a folder. `{file}` is the folder, `{name}` the prefix."""

    get_folder: Sequence[str]
    """Command that fetches them again."""

    def command(self, kind: str, file: Path, name: str) -> list[str]:
        """Return the command of a kind: `put_file`, `get_file`, `put_folder` or `get_folder`."""
        words: Sequence[str] = getattr(self, kind)
        return [word.replace("{file}", str(file)).replace("{name}", name) for word in words]


def clients(service: BenchService, endpoint: str, state: Path, proxy: str | None = None) -> list[Client]:
    """Return `ferry`, and those of s5cmd, aws-cli and rclone that are installed.

    Args:
        service: the running service.
        endpoint: the S3 endpoint for S3's clients.
        state: folder for ferry's state.
        proxy: HTTP proxy for ferry; None: none.
    """
    return [_ferry(service, state, proxy), *s3_clients(service, endpoint)]


def s3_clients(service: BenchService, endpoint: str) -> list[Client]:
    """Return those of s5cmd, aws-cli and rclone that are installed. `endpoint` is the S3 server's URL."""
    return [*_s5cmd(service, endpoint), *_aws_cli(service, endpoint), *_rclone(service, endpoint)]


def ferry_environment(connection_info: Mapping[str, Any], state: Path, proxy: str | None) -> dict[str, str]:
    """Return the environment of the command `ferry` as the first client of a local service.

    Args:
        connection_info: the content of the service's `ferry.json`.
        state: folder for the state, and for the configuration below it.
        proxy: HTTP proxy; None: none.
    """
    account = connection_info["clients"][0]
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "client" / "src"),
        "FERRY_URL": connection_info["base_url"],
        "FERRY_CLIENT_ID": account["client_id"],
        "FERRY_CLIENT_SECRET": account["client_secret"],
        "FERRY_STATE_DIR": str(state),
        "FERRY_CONFIG_DIR": str(state / "config"),
        **({"http_proxy": proxy} if proxy else {}),
    }


def _ferry(service: BenchService, state: Path, proxy: str | None) -> Client:
    environment = ferry_environment(service.connection_info, state, proxy)
    program = [sys.executable, "-c", "from ferry_client.cli.main import main; main()"]
    return Client(
        FERRY,
        environment,
        [*program, "put", "--jobs", JOBS, "{file}", "{name}"],
        [*program, "get", "--jobs", JOBS, "{name}", "{file}"],
        [*program, "put", "--jobs", JOBS, "{file}/.", "{name}/"],
        [*program, "get", "--jobs", JOBS, "{name}/", "{file}"],
    )


def _s3_environment(service: BenchService) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        **service.credentials,
    }


def _s5cmd(service: BenchService, endpoint: str) -> list[Client]:
    found = shutil.which("s5cmd") or shutil.which("s5cmd", path=str(Path(sys.executable).parent))
    if found is None:
        return []
    copy = [found, "--endpoint-url", endpoint, "--log", "error", "cp"]
    remote = f"s3://{BUCKET}/{{name}}"
    return [
        Client(
            "s5cmd",
            _s3_environment(service),
            [*copy, "{file}", remote],
            [*copy, remote, "{file}"],
            [*copy, "{file}/*", f"{remote}/"],
            [*copy, f"{remote}/*", "{file}/"],
        )
    ]


def _aws_cli(service: BenchService, endpoint: str) -> list[Client]:
    found = shutil.which("aws")
    if found is None:
        return []
    copy = [found, "--endpoint-url", endpoint, "s3", "cp", "--only-show-errors"]
    remote = f"s3://{BUCKET}/{{name}}"
    return [
        Client(
            "aws-cli",
            _s3_environment(service),
            [*copy, "{file}", remote],
            [*copy, remote, "{file}"],
            [*copy, "--recursive", "{file}", f"{remote}/"],
            [*copy, "--recursive", f"{remote}/", "{file}"],
        )
    ]


def _rclone(service: BenchService, endpoint: str) -> list[Client]:
    found = shutil.which("rclone")
    if found is None:
        return []
    environment = {
        **_s3_environment(service),
        "RCLONE_CONFIG": "/dev/null",
        "RCLONE_CONFIG_S_TYPE": "s3",
        "RCLONE_CONFIG_S_PROVIDER": "Other",
        "RCLONE_CONFIG_S_ENV_AUTH": "true",
        "RCLONE_CONFIG_S_ENDPOINT": endpoint,
        "RCLONE_S3_NO_CHECK_BUCKET": "true",
    }
    remote = f"S:{BUCKET}/{{name}}"
    return [
        Client(
            "rclone",
            environment,
            [found, "copyto", "{file}", remote],
            [found, "copyto", remote, "{file}"],
            [found, "copy", "{file}", remote],
            [found, "copy", remote, "{file}"],
        )
    ]
