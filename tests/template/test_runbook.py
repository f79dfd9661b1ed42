"""The commands of the operations pages exist in AWS's service descriptions, in the SAM CLI and in the template.

The AWS CLI derives its commands and options from the descriptions that botocore has. These tests do not show that a
command has the effect that the page describes.
"""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

ROOT = Path(__file__).parents[2]
RUNBOOK = "".join(
    (ROOT / "docs" / page).read_text(encoding="utf-8")
    for page in ("operations.md", "first-deploy.md", "region-loss.md")
)
GLOBAL_OPTIONS = {"query", "output", "region", "cli-binary-format"}
"""Options of the AWS CLI itself, which no service description has."""
UNCHECKED_SERVICES = {"s3", "configure"}
"""Services whose commands are the AWS CLI's own."""
SERVICE_ALIASES = {"s3api": "s3"}


def aws_commands() -> list[str]:
    """Return every `aws` command of the page, from blocks and sentences, with continued lines joined."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```|`(aws [^`]+)`", RUNBOOK, re.DOTALL):
        for line in "".join(block).replace("\\\n", " ").splitlines():
            found += re.findall(r"(?:^|[;{(] *|do )(aws (?:[^|;\"']|\"[^\"]*\"|'[^']*')+)", line.replace('"$(', '"('))
    return [" ".join(command.split()) for command in found]


def option_names(words: list[str]) -> Iterator[str]:
    return (word.removeprefix("--") for word in words if word.startswith("--"))


def test_runbook_commands_are_parsed() -> None:
    """The parser finds as many commands as the text has."""
    assert len(aws_commands()) == len(re.findall(r"(?<![\w`/.-])aws [a-z0-9]+ [a-z]|`aws [a-z]", RUNBOOK)) > 15


@pytest.mark.parametrize("command", aws_commands())
def test_aws_command_is_valid(command: str) -> None:
    """The operation and its options exist, and required options are given."""
    service, operation, *rest = shlex.split(command)[1:]
    if service in UNCHECKED_SERVICES:
        return
    session = botocore.session.get_session()
    model = session.get_service_model(SERVICE_ALIASES.get(service, service))
    if operation == "wait":
        assert rest[0] in {xform_name(name, "-") for name in session.get_waiter_model(model.service_name).waiter_names}
        return
    (name,) = [name for name in model.operation_names if xform_name(name, "-") == operation]
    shape: Any = model.operation_model(name).input_shape
    members = {xform_name(member, "-") for member in shape.members}
    given = set(option_names(rest)) - GLOBAL_OPTIONS
    assert given <= members
    if "`" + command + "`" not in RUNBOOK:
        required = {xform_name(member, "-") for member in shape.required_members}
        assert required <= given


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\$\(output (\w+)\)", RUNBOOK))))
def test_output_exists_in_template(template: Any, name: str) -> None:
    """`$(output NAME)` names an output of the template."""
    assert name in template["Outputs"]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\$\(resource (\w+)\)", RUNBOOK))))
def test_resource_exists_in_template(template: Any, name: str) -> None:
    """`$(resource NAME)` is a logical id of the template, or a function's id followed by that of its event."""
    resources = template["Resources"]
    events = {
        f"{function}{event}"
        for function, body in resources.items()
        for event in body.get("Properties", {}).get("Events", {})
    }
    assert name in {*resources, *events}


def test_every_alarm_is_documented(root: Path) -> None:
    """The alarm table has exactly the alarms of monitoring.yaml."""
    alarms = set(re.findall(r"AlarmName: !Sub \$\{Service\}(-[a-z-]+)", (root / "monitoring.yaml").read_text("utf-8")))
    assert alarms == set(re.findall(r"^\| `…(-[a-z-]+)` \|", RUNBOOK, re.MULTILINE))


def test_sam_commands_are_valid() -> None:
    """Each `sam` command on the page has the options that the page uses."""
    found = re.findall(r"(?:^|`)sam ([a-z]+)([^`\n#]*)", RUNBOOK, re.MULTILINE)
    assert found
    for name, rest in found:
        command = importlib.import_module(f"samcli.commands.{name}.command").cli
        known = {option for parameter in command.params for option in parameter.opts}
        assert {f"--{option}" for option in option_names(shlex.split(rest))} <= known
