"""Write the two files that let SAM CLI run the built functions in containers against a running local service.

`sam-env.json` (SAM CLI's `--env-vars`) has each function's environment: the addresses of S3, DynamoDB and KMS as a
container reaches them, the names of the table and bucket, and the local service's own access keys.
`sam-template.json` (`--template-file`) is `template.yaml` with what differs on this machine: the processor
architecture, the folders that `sam build` filled, and declarations of the AWS credential variables, because SAM CLI
overrides only variables that a template declares. `samconfig.toml` names both. They exist while the service runs.
"""

from __future__ import annotations

import copy
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev.local.docker_bridge import CONTAINER_HOST
from dev.local.stack import REGION, Function
from dev.local.state import StateFolder
from dev.local.tcp_ports import HOST

ENV_FILE = "sam-env.json"
TEMPLATE_FILE = "sam-template.json"
API_PORT = 3001
"""The port that samconfig.toml gives `sam local start-api`: its default, 3000, is the local service's own."""

_NESTED_STACKS = ("AWS::Serverless::Application", "AWS::CloudFormation::Stack")
_BUILD_FOLDER = Path(".aws-sam", "build")
_LAYER_FOLDER = Path("build", "sam-local")
"""Where layers/common/Makefile puts a copy of each layer for this machine's architecture."""
BUILD_FOLDERS = (_BUILD_FOLDER, _LAYER_FOLDER)
"""The folders with what `sam build` made, relative to the project's."""


def host_architecture() -> str:
    """Return this machine's processor architecture by Lambda's name for it."""
    return "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"


def container_environment(
    functions: Mapping[str, Function], s3_url: str, dynamodb_url: str, credentials: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Return the environment of each function in a container, by logical id.

    Args:
        functions: the functions of the stack, their environment resolved.
        s3_url: S3 on this machine's loopback interface. Presigned URLs keep this address: clients use them.
        dynamodb_url: DynamoDB and KMS on this machine's loopback interface.
        credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, which S3 and DynamoDB accept.
    """
    s3, dynamodb = (url.replace(HOST, CONTAINER_HOST) for url in (s3_url, dynamodb_url))
    # Without `lambda` and `events` here, functions neither enqueue completions nor publish events. SAM CLI emulates
    # neither service.
    endpoints = f"s3={s3},dynamodb={dynamodb},kms={dynamodb},s3_public={s3_url}"
    return {
        name: {**function.environment, "FERRY_ENDPOINTS": endpoints, **credential_variables(credentials)}
        for name, function in functions.items()
    }


def credential_variables(credentials: Mapping[str, str]) -> dict[str, str]:
    """Return the AWS variables of a function: the local keys, this region, and no session token of the caller's."""
    return {"AWS_SESSION_TOKEN": "", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, **credentials}


def container_template(source: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the template for containers on this machine. `folder` is the one that `template.yaml` is in.

    Nested stacks are left out, with the outputs that may name them: they have no functions, and their paths are
    relative to `template.yaml`.
    """
    template = {key: copy.deepcopy(value) for key, value in source.items() if key != "Outputs"}
    resources = template["Resources"]
    template["Resources"] = {
        name: resource for name, resource in resources.items() if resource["Type"] not in _NESTED_STACKS
    }
    if "Architecture" in template.get("Parameters", {}):
        template["Parameters"]["Architecture"]["Default"] = host_architecture()
    common = template.setdefault("Globals", {}).setdefault("Function", {})
    variables = common.setdefault("Environment", {}).setdefault("Variables", {})
    declared = credential_variables({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    variables.update(dict.fromkeys(declared, ""))
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = str(folder / _BUILD_FOLDER / name)
        elif resource["Type"] == "AWS::Serverless::LayerVersion":
            resource["Properties"]["ContentUri"] = str(folder / _LAYER_FOLDER / name)
    return template


def write_files(state: StateFolder, environment: Mapping[str, Mapping[str, str]], template: Mapping[str, Any]) -> None:
    """Write both files; only their owner may read them."""
    state.write_json(TEMPLATE_FILE, template)
    state.write_json(ENV_FILE, environment)


def remove_files(folder: Path) -> None:
    """Remove both files, so that SAM CLI says that they are missing instead of starting functions without a backend."""
    for name in (ENV_FILE, TEMPLATE_FILE):
        (folder / name).unlink(missing_ok=True)
