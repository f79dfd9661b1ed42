"""`sam local start-api` on the built functions, beside a local service that has S3, DynamoDB, KMS and the schedule.

The local service (`python -m dev.local`) writes the files that SAM CLI reads, and relays its backends to containers.
`samconfig.toml` has the other options, so that this runs what `sam build && sam local start-api` runs.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.docker import dockerd
from dev.docker.errors import SamError
from dev.docker.processes import managed_process, wait_for
from dev.local import sam_cli, tcp_ports
from dev.local.stack import REGION
from dev.local.tcp_ports import HOST
from dev.paths import ROOT

CONTAINER_LABEL = "sam.cli.container.type=lambda"
HAS_IMAGES_VARIABLE = "FERRY_SAM_HAS_IMAGES"
"""Tells `dev.docker.quick_sam_cli` by any value that the images have been built from the current layers."""
READY_TIMEOUT_SECONDS = 600.0
"""Seconds for the first start, which builds an image with the layer."""
LOCAL_TIMEOUT_SECONDS = 60.0
"""Seconds for the start of the local service."""


@dataclass(frozen=True, slots=True)
class SamService:
    """A running `sam local start-api`."""

    base_url: str
    """The API's address."""
    clients: tuple[Mapping[str, Any], ...]
    """The clients that may ask for tokens, as `.local/ferry.json` has them."""
    folder: Path
    """The folder of its state and logs."""
    container_options: tuple[str, ...]
    """The options with which `sam local` starts functions of this service."""
    environment: Mapping[str, str]
    """The environment for `sam local`."""


def build_image() -> None:
    """Build an emulator of Lambda's container image. Docker's daemon must run. Raises `SamError`."""
    if subprocess.run(["bash", "dev/docker/image.sh"], cwd=ROOT, check=False).returncode:
        raise SamError("the image could not be built; the reason is above")


def build() -> None:
    """Run `sam build` for this machine's architecture. Raises `SamError`."""
    env = sam_environment() | {"FERRY_ARCHITECTURE": sam_cli.host_architecture()}
    if subprocess.run(["sh", "dev/layer/build.sh"], cwd=ROOT, env=env, check=False).returncode:
        raise SamError("`sam build` failed; its output is above")


def copy_build(project: Path) -> None:
    """Replace the functions and the layer that `sam build` made here by those that it made in a copy of the project."""
    for folder in sam_cli.BUILD_FOLDERS:
        shutil.rmtree(ROOT / folder, ignore_errors=True)
        shutil.copytree(project / folder, ROOT / folder, symlinks=True)


@contextmanager
def start_api(port: int, state_folder: Path, parameters: str = "", *, has_images: bool = False) -> Iterator[SamService]:
    """Serve the built functions on `port` until the end of the block. Docker's daemon must run.

    Args:
        port: the port of the API, on the loopback interface.
        state_folder: the folder of all state and logs.
        parameters: template parameters, `"Name=value Other=value"`.
        has_images: whether the image with the current layer has been built.

    Raises:
        SamError: something does not start.
    """
    if is_reachable(port):
        raise SamError(f"port {port} is taken; choose another with PORT=")
    base_url = f"http://{HOST}:{port}"
    with (
        backends(state_folder, parameters, base_url) as connection_info,
        functions_served(port, state_folder, has_images=has_images),
    ):
        clients = tuple(connection_info["clients"])
        yield SamService(base_url, clients, state_folder, container_options(state_folder), sam_environment())


def container_options(state_folder: Path) -> tuple[str, ...]:
    """Return the options with which `sam local` starts functions beside the local service of this state folder."""
    return (
        # SAM CLI looks for it beside the template otherwise.
        *("--config-file", str(ROOT / "samconfig.toml")),
        *("--env-vars", str(state_folder / sam_cli.ENV_FILE)),
        *("--template-file", str(state_folder / sam_cli.TEMPLATE_FILE)),
        *("--layer-cache-basedir", str(state_folder / "layers")),
    )


@contextmanager
def functions_served(port: int, state_folder: Path, *, has_images: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """Run `sam local start-api` beside a running local service, and give its process once it responds.

    Args:
        port: the port of the API, on the loopback interface.
        state_folder: the folder of all state and logs.
        has_images: whether the image with the current layer has been built.

    Raises:
        SamError: it does not start.
    """
    log_path = state_folder / "sam.log"
    sam = [sys.executable, "-m", "dev.docker.quick_sam_cli"]
    # Without --no-watch SAM CLI looks at each write of S3 and DynamoDB, whose files are beside the template.
    options = ("--host", HOST, "--port", str(port), "--warm-containers", "EAGER", "--no-watch")
    command = [*sam, "local", "start-api", *options, *container_options(state_folder)]
    env = {**sam_environment(), **({HAS_IMAGES_VARIABLE: "yes"} if has_images else {})}
    with (
        containers_cleanup(),
        managed_process(command, env=env, log_path=log_path, cwd=ROOT) as api,
    ):
        wait_until_reachable(port, api, log_path)
        yield api


@contextmanager
def backends(state_folder: Path, parameters: str, public_url: str) -> Iterator[Mapping[str, Any]]:
    """Run a local service for its S3, DynamoDB and KMS, and give the content of its `ferry.json`.

    Args:
        state_folder: the folder of all state and logs.
        parameters: template parameters, `"Name=value Other=value"`.
        public_url: the address of the API that functions put into URLs.

    Raises:
        SamError: it does not start.
    """
    command = [
        *(sys.executable, "-m", "dev.local", "--quiet", "--exit-with-parent"),
        *("--state", str(state_folder), "--port", str(free_port()), "--params", parameters),
        *("--env", f"FERRY_PUBLIC_URL={public_url}"),
    ]
    with local_service(command, state_folder, log_path=state_folder / "local.log", cwd=ROOT) as connection_info:
        yield connection_info


@contextmanager
def local_service(command: list[str], state_folder: Path, *, log_path: Path, cwd: Path) -> Iterator[Mapping[str, Any]]:
    """Run a local service, and give the content of its `ferry.json`. Raises `SamError`."""
    with managed_process(command, env=os.environ, log_path=log_path, cwd=cwd) as process:
        wait_for(
            lambda: "ready http" in log_path.read_text(encoding="utf-8"),
            process,
            name="the local service",
            log_path=log_path,
            timeout_seconds=LOCAL_TIMEOUT_SECONDS,
        )
        yield json.loads((state_folder / "ferry.json").read_text(encoding="utf-8"))


def wait_until_reachable(port: int, api: subprocess.Popen[bytes], log_path: Path) -> None:
    """Wait until `sam local start-api` responds. Raises `SamError`."""
    wait_for(
        lambda: is_reachable(port),
        api,
        name="sam local start-api",
        log_path=log_path,
        timeout_seconds=READY_TIMEOUT_SECONDS,
    )


def sam_environment() -> dict[str, str]:
    """Return this process's environment without its AWS account, so that nothing here reaches one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        # On an EC2 instance there are credentials without a variable or a file.
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "SAM_CLI_TELEMETRY": "0",
    }


@contextmanager
def containers_cleanup() -> Iterator[None]:
    """Remove the function containers that were started in the block and that SAM CLI has left."""
    before = _container_ids()
    try:
        yield
    finally:
        if left := _container_ids() - before:
            dockerd.run_docker("rm", "--force", *left)


def _container_ids() -> set[str]:
    return set(dockerd.run_docker("ps", "--all", "--quiet", "--filter", f"label={CONTAINER_LABEL}").stdout.split())


def is_reachable(port: int) -> bool:
    """Return whether an HTTP server responds on that port of the loopback interface."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        # No route has this path, so that no function starts for it.
        connection.request("GET", "/-")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def free_port() -> int:
    """Return a port of the loopback interface that is free now."""
    return tcp_ports.free_ports(1)[0]
