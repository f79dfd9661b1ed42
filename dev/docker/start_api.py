"""`sam local start-api` on the built template, with the local service's S3, DynamoDB and KMS behind it.

The local service (`python -m dev.local`) runs beside it on a folder of its own: its backends are set up from template.yaml,
and its schedule does the clean-up that SAM CLI does not run. Functions find it under `host.docker.internal`.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev.docker import dockerd
from dev.docker.errors import SamError
from dev.docker.port_forward import LOOPBACK, forward_ports
from dev.docker.processes import managed_process, wait_for
from dev.local import stack as local_stack
from dev.local import template as local_template
from dev.paths import ROOT

RUNTIME_IMAGE = "ferry/lambda-python:3.13"
CONTAINER_LABEL = "sam.cli.container.type=lambda"
CONTAINER_HOST = "host.docker.internal"
READY_TIMEOUT_SECONDS = 180.0
"""The first start builds an image of the layer."""


@dataclass(frozen=True, slots=True)
class SamService:
    """What runs: where, and who may ask it for tokens (as `.local/ferry.json` describes them).

    `folder` has its state and logs. `container` is what is to be said to SAM CLI so that functions of this service run,
    `environment` the environment to say it in.
    """

    base_url: str
    clients: tuple[Mapping[str, Any], ...]
    folder: Path
    container_options: tuple[str, ...]
    environment: Mapping[str, str]


def architecture() -> str:
    """This machine's, in Lambda's words; containers run natively."""
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def build() -> None:
    """`sam validate --lint` and `sam build`. Raises `SamError`."""
    env = _isolated_environment() | {"FERRY_ARCHITECTURE": architecture()}
    for command in (["sam", "validate", "--lint"], ["sh", "dev/layer/build.sh"]):
        if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode:
            raise SamError(f"`{' '.join(command)}` failed")


@contextmanager
def start_api(port: int, state_folder: Path, parameters: str = "") -> Iterator[SamService]:
    """The built service on `port`, until the end of the block; its state and logs are in `folder`.

    Raises:
        SamError: something does not start; Docker's daemon must run.
    """
    if _is_reachable(port):
        raise SamError(f"port {port} is taken; choose another with PORT=")
    with _local_service(state_folder, parameters) as described:
        known = json.loads((state_folder / "backends.json").read_text(encoding="utf-8"))
        ports = [port for port in (urlsplit(described[f"{name}_endpoint"]).port for name in ("s3", "dynamodb")) if port]
        (state_folder / "environment.json").write_text(_function_environment(described, known["keys"], parameters))
        log, container, environment = (
            state_folder / "sam.log",
            _container_options(state_folder),
            _sam_environment(known),
        )
        command = ["sam", "local", "start-api", "--host", LOOPBACK, "--port", str(port), "--warm-containers", "EAGER"]
        with (
            forward_ports(ports),
            _containers_cleanup(),
            managed_process([*command, *container, "--force-image-build"], env=environment, log_path=log) as api,
        ):
            wait_for(
                lambda: _is_reachable(port),
                api,
                name="sam local start-api",
                log_path=log,
                timeout_seconds=READY_TIMEOUT_SECONDS,
            )
            clients = tuple(described["clients"])
            yield SamService(f"http://{LOOPBACK}:{port}", clients, state_folder, container, environment)


@contextmanager
def _local_service(state_folder: Path, parameters: str) -> Iterator[Mapping[str, Any]]:
    log = state_folder / "local.log"
    command = [
        sys.executable,
        "-m",
        "dev.local",
        "--quiet",
        "--exit-with-parent",
        "--state",
        str(state_folder),
        "--port",
        str(free_port()),
    ]
    with managed_process([*command, "--params", parameters], env=os.environ, log_path=log) as service:
        wait_for(
            lambda: "ready" in log.read_text(encoding="utf-8"),
            service,
            name="the local service",
            log_path=log,
            timeout_seconds=60,
        )
        yield json.loads((state_folder / "ferry.json").read_text(encoding="utf-8"))


def _function_environment(connection_info: Mapping[str, Any], keys: Mapping[str, str], parameters: str) -> str:
    """SAM CLI's `--env-vars`: what the template says, with the names of what the local service has made."""
    s3, dynamodb = connection_info["s3_endpoint"], connection_info["dynamodb_endpoint"]
    inside = {name: url.replace(LOOPBACK, CONTAINER_HOST) for name, url in (("s3", s3), ("dynamodb", dynamodb))}
    endpoints = {**inside, "kms": inside["dynamodb"], "s3_public": s3}
    found = local_stack.resolve_stack(
        local_template.load_template(ROOT / "template.yaml"),
        ROOT,
        local_template.parse_overrides(parameters),
        references=keys,
        environment={"FERRY_ENDPOINTS": ",".join(f"{name}={url}" for name, url in endpoints.items())},
    )
    return json.dumps({name: dict(function.environment) for name, function in found.functions.items()})


def _container_options(state_folder: Path) -> tuple[str, ...]:
    """How SAM CLI is to run functions, be it for an API or for one event."""
    options = [
        "--env-vars",
        str(state_folder / "environment.json"),
        "--layer-cache-basedir",
        str(state_folder / "layers"),
    ]
    options += ["--parameter-overrides", f"Architecture={architecture()}"]
    if platform.system() == "Linux":
        # Elsewhere Docker itself knows the name.
        options += ["--add-host", f"{CONTAINER_HOST}:host-gateway"]
    if dockerd.run_docker("image", "inspect", RUNTIME_IMAGE).returncode == 0:
        sys.stderr.write(f"functions run in {RUNTIME_IMAGE}, a stand-in for Lambda's image (remove it to use AWS's)\n")
        options += ["--skip-pull-image", "--invoke-image", RUNTIME_IMAGE]
    return tuple(options)


def _isolated_environment() -> dict[str, str]:
    """Ours, without an AWS account: nothing here may reach one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_DEFAULT_REGION": local_stack.REGION,
        "AWS_REGION": local_stack.REGION,
        "SAM_CLI_TELEMETRY": "0",
    }


def _sam_environment(known: Mapping[str, Any]) -> dict[str, str]:
    return {
        **_isolated_environment(),
        "AWS_ACCESS_KEY_ID": known["access_key"],
        "AWS_SECRET_ACCESS_KEY": known["secret_key"],
        # SAM CLI asks STS who these keys belong to; nobody answers here, and at once.
        "AWS_ENDPOINT_URL_STS": f"http://{LOOPBACK}:1",
    }


@contextmanager
def _containers_cleanup() -> Iterator[None]:
    """Remove the function containers that came into being in between, should SAM CLI not have done so."""
    before = _container_ids()
    try:
        yield
    finally:
        if left := _container_ids() - before:
            dockerd.run_docker("rm", "--force", *left)


def _container_ids() -> set[str]:
    return set(dockerd.run_docker("ps", "--all", "--quiet", "--filter", f"label={CONTAINER_LABEL}").stdout.split())


def _is_reachable(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port
