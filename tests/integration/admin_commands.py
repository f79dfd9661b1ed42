"""Fixtures that run `ferry-admin` over moto, against the functions that its changes affect."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from admin.cli import main
from tests.integration.stack import Stack

STACKS: dict[str, dict[str, Any]] = {
    "ferry": {
        "StackName": "ferry",
        "StackStatus": "UPDATE_COMPLETE",
        "Parameters": [
            {"ParameterKey": "TokenTtlSeconds", "ParameterValue": "600"},
            {"ParameterKey": "EnableEvents", "ParameterValue": "true"},
        ],
        "Outputs": [
            {"OutputKey": "AuthTableName", "OutputValue": "auth"},
            {"OutputKey": "MetadataTableName", "OutputValue": "metadata"},
            {"OutputKey": "EventBusName", "OutputValue": "bus"},
        ],
    },
    "other": {"StackName": "other"},
}
"""Responses of CloudFormation by stack name."""
Admin = Callable[..., Any]


class CloudFormation:
    """Describes the stacks. moto's own CloudFormation needs packages that are not installed."""

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if StackName not in STACKS:
            response: Any = {"Error": {"Code": "ValidationError", "Message": f"{StackName} does not exist"}}
            raise ClientError(response, "DescribeStacks")
        return {"Stacks": [STACKS[StackName]]}


class CloudWatch:
    """Has three of the alarms: one is raised, one has no data."""

    def describe_alarms(self, *, AlarmNames: list[str]) -> dict[str, Any]:  # noqa: N803 - AWS's name
        states = dict(zip(AlarmNames[:2], ("ALARM", "OK"), strict=True)) | {"ferry-stale-uploads": "INSUFFICIENT_DATA"}
        assert states.keys() <= set(AlarmNames)
        return {"MetricAlarms": [{"AlarmName": name, "StateValue": state} for name, state in states.items()]}


class Session(botocore.session.Session):
    """A session whose CloudFormation and CloudWatch are the ones above; all else is moto's."""

    def create_client(self, service_name: Any, *arguments: Any, **options: Any) -> Any:
        if service_name == "cloudformation":
            return CloudFormation()
        if service_name == "cloudwatch":
            return CloudWatch()
        return super().create_client(service_name, *arguments, **options)


@pytest.fixture(autouse=True)
def stacks(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `ferry-admin` find the stack whose functions `stack` runs."""
    monkeypatch.setattr("admin.connect.Session", Session)


@pytest.fixture
def admin(capsys: pytest.CaptureFixture[str]) -> Admin:
    """Return a function that runs a command, which must succeed, and returns its JSON."""

    def run(*arguments: str) -> Any:
        capsys.readouterr()  # drop the functions' logs
        assert main([*arguments, "--stack", "ferry", "--output", "json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run
