"""The commands of docs/operations.md: what AWS's own descriptions, SAM CLI and the template know of them.

The AWS CLI derives its commands and options from the same descriptions that botocore has. That a command does what the
page says is not shown here.
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
RUNBOOK = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
GLOBAL_OPTIONS = {"query", "output", "region", "cli-binary-format"}
"""Options of the AWS CLI itself."""
UNCHECKED_SERVICES = {"s3"}
"""Commands that the AWS CLI has beyond the descriptions."""
SERVICE_ALIASES = {"s3api": "s3"}


def aws_commands() -> list[str]:
    """Every `aws` command of the page, in blocks and within sentences, continued lines joined."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```|`(aws [^`]+)`", RUNBOOK, re.DOTALL):
        for line in "".join(block).replace("\\\n", " ").splitlines():
            found += re.findall(r"(?:^|[;{(] *|do )(aws (?:[^|;\"']|\"[^\"]*\"|'[^']*')+)", line.replace('"$(', '"('))
    return [" ".join(command.split()) for command in found]


def option_names(words: list[str]) -> Iterator[str]:
    return (word.removeprefix("--") for word in words if word.startswith("--"))


def test_runbook_commands_are_parsed() -> None:
    """What the test below reads is what a reader sees."""
    assert len(aws_commands()) == len(re.findall(r"(?<![\w`/.-])aws [a-z0-9]+ [a-z]|`aws [a-z]", RUNBOOK)) > 15


@pytest.mark.parametrize("command", aws_commands())
def test_aws_command_is_valid(command: str) -> None:
    """The service has the operation, the operation every option, and what it requires is given."""
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
    """Commands find names by the stack's outputs."""
    assert name in template["Outputs"]


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\$\(resource (\w+)\)", RUNBOOK))))
def test_resource_exists_in_template(template: Any, name: str) -> None:
    """By the template's logical id; a function's event has its function's before its own."""
    resources = template["Resources"]
    events = {
        f"{function}{event}"
        for function, body in resources.items()
        for event in body.get("Properties", {}).get("Events", {})
    }
    assert name in {*resources, *events}


def test_every_alarm_is_documented(root: Path) -> None:
    """What rings is in the table, by the name it has, and nothing else is."""
    alarms = set(re.findall(r"AlarmName: !Sub \$\{Service\}(-[a-z-]+)", (root / "monitoring.yaml").read_text("utf-8")))
    assert alarms == set(re.findall(r"^\| `…(-[a-z-]+)` \|", RUNBOOK, re.MULTILINE))


def test_sam_commands_are_valid() -> None:
    """`sam deploy` and its like, with the options that the page gives them."""
    found = re.findall(r"(?:^|`)sam ([a-z]+)([^`\n#]*)", RUNBOOK, re.MULTILINE)
    assert found
    for name, rest in found:
        command = importlib.import_module(f"samcli.commands.{name}.command").cli
        known = {option for parameter in command.params for option in parameter.opts}
        assert {f"--{option}" for option in option_names(shlex.split(rest))} <= known
