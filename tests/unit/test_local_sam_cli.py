"""The files with which SAM CLI runs the built functions against a local service."""

from __future__ import annotations

import contextlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dev.local import sam_cli, stack
from dev.local.state import StateFolder
from dev.local.template import load_template
from dev.paths import ROOT

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(scope="module")
def source() -> dict[str, Any]:
    return load_template(ROOT / "template.yaml")


@pytest.fixture(scope="module")
def environment(source: dict[str, Any]) -> dict[str, dict[str, str]]:
    resolved = stack.resolve_stack(source, ROOT, {"TokenTtlSeconds": "60"})
    return sam_cli.container_environment(
        resolved.functions, "http://127.0.0.1:5400", "http://127.0.0.1:5500", CREDENTIALS
    )


def test_environment_has_addresses_that_containers_reach(environment: dict[str, dict[str, str]]) -> None:
    """Backends have the host's name for containers. Clients outside use the presigned URLs, so these keep 127.0.0.1."""
    pairs = dict(pair.split("=") for pair in environment["UploadFunction"]["FERRY_ENDPOINTS"].split(","))
    assert pairs == {
        "s3": "http://host.docker.internal:5400",
        "dynamodb": "http://host.docker.internal:5500",
        "kms": "http://host.docker.internal:5500",
        "s3_public": "http://127.0.0.1:5400",
    }


def test_environment_has_names_parameters_and_keys(environment: dict[str, dict[str, str]]) -> None:
    """Every function gets the local names, the parameters in force and the local keys, without a session token."""
    assert len(environment) >= 5
    for variables in environment.values():
        assert variables["FERRY_BUCKET"] == "ferry-bucket"
        assert variables["FERRY_TOKEN_TTL_SECONDS"] == "60"
        assert variables["AWS_SESSION_TOKEN"] == ""
        assert CREDENTIALS.items() <= variables.items()


def test_template_declares_every_variable_of_the_environment(
    source: dict[str, Any], environment: dict[str, dict[str, str]]
) -> None:
    """SAM CLI overrides only declared variables, so each one is declared globally or by its function."""
    template = sam_cli.container_template(source, ROOT)
    common = template["Globals"]["Function"]["Environment"]["Variables"]
    for name, variables in environment.items():
        own = template["Resources"][name]["Properties"].get("Environment", {}).get("Variables", {})
        assert variables.keys() <= common.keys() | own.keys()


def test_template_points_at_built_code_for_this_machine(source: dict[str, Any]) -> None:
    """Functions and layer are what `sam build` left, for this machine's architecture, without nested stacks."""
    template = sam_cli.container_template(source, Path("/project"))
    assert template["Parameters"]["Architecture"]["Default"] == sam_cli.host_architecture()
    resources = template["Resources"]
    assert resources["AuthFunction"]["Properties"]["CodeUri"] == "/project/.aws-sam/build/AuthFunction"
    assert resources["CommonLayer"]["Properties"]["ContentUri"] == "/project/build/sam-local/CommonLayer"
    assert not {resource["Type"] for resource in resources.values()} & {"AWS::CloudFormation::Stack"}
    assert "AWS::CloudFormation::Stack" in {resource["Type"] for resource in source["Resources"].values()}
    json.dumps(template)


@pytest.mark.parametrize("command", ["local_start_api", "local_invoke"])
def test_samconfig_names_the_written_files(command: str) -> None:
    """`sam local` without arguments reads the files of the default state folder."""
    config = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    parameters = config["default"][command]["parameters"]
    assert parameters["env_vars"] == f".local/{sam_cli.ENV_FILE}"
    assert parameters["template_file"] == f".local/{sam_cli.TEMPLATE_FILE}"
    assert parameters["add_host"] == "host.docker.internal:host-gateway"
    assert parameters.get("port", sam_cli.API_PORT) == sam_cli.API_PORT


def test_files_are_private_and_removed(tmp_path: Path) -> None:
    """Only the owner may read the files, which hold keys, and after a stop they are gone."""
    with contextlib.closing(StateFolder(tmp_path / "state")) as state:
        sam_cli.write_files(state, {"F": {"A": "b"}}, {"Resources": {}})
        paths = [state.folder / sam_cli.ENV_FILE, state.folder / sam_cli.TEMPLATE_FILE]
        assert [path.stat().st_mode & 0o777 for path in paths] == [0o600, 0o600]
        sam_cli.remove_files(state.folder)
        assert not any(path.exists() for path in paths)
