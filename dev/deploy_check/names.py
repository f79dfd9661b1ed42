"""What stacks have in common, and what they leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3

from dev.deploy_check.stacks import ARTIFACTS_BUCKET, Stack
from dev.errors import CheckError

Inventory = dict[str, set[str]]
"""The names of existing resources, by kind."""


def check_names_are_disjoint(first: Stack, second: Stack) -> None:
    """Raise `CheckError` if two stacks have a resource of the same physical id.

    AWS would reject the second stack. The emulator does not: of two schedules of one name it keeps the last.
    """
    shared = sorted(
        f"{logical_id}: {physical_id}"
        for one, other in ((first, second), (first.nested(), second.nested()))
        for logical_id, physical_id in one.resources.items()
        if physical_id in other.resources.values()
    )
    if shared:
        raise CheckError(
            "two stacks in one account and region cannot both have these names; leave the names to CloudFormation, or "
            "put the stack's name into them:\n  " + "\n  ".join(shared)
        )


def take_inventory() -> Inventory:
    """Return the names of all resources of the emulator, without the bucket of the artifacts."""
    client: Any = boto3.client
    keys = client("kms").list_keys()["Keys"]
    alarms = client("cloudwatch").describe_alarms()["MetricAlarms"]
    found = {
        "alarm": [alarm["AlarmName"] for alarm in alarms],
        "API": [api["ApiId"] for api in client("apigatewayv2").get_apis()["Items"]],
        "bucket": [bucket["Name"] for bucket in client("s3").list_buckets()["Buckets"]],
        "dashboard": [entry["DashboardName"] for entry in client("cloudwatch").list_dashboards()["DashboardEntries"]],
        "event bus": [bus["Name"] for bus in client("events").list_event_buses()["EventBuses"]],
        "function": [function["FunctionName"] for function in client("lambda").list_functions()["Functions"]],
        "key": [key["KeyId"] for key in keys if _is_enabled(key["KeyId"])],
        "layer": [layer["LayerName"] for layer in client("lambda").list_layers()["Layers"]],
        "log group": [group["logGroupName"] for group in client("logs").describe_log_groups()["logGroups"]],
        "queue": client("sqs").list_queues().get("QueueUrls", []),
        "role": [role["RoleName"] for role in client("iam").list_roles()["Roles"]],
        "schedule": [schedule["Name"] for schedule in client("scheduler").list_schedules()["Schedules"]],
        "table": client("dynamodb").list_tables()["TableNames"],
    }
    return {kind: set(names) - {ARTIFACTS_BUCKET} for kind, names in found.items()}


def check_nothing_is_left(before: Inventory, allowed: Mapping[str, str]) -> None:
    """Raise `CheckError` if resources exist that did not exist before.

    Args:
        before: what existed before the stacks were created.
        allowed: the reasons by physical id of what may remain.
    """
    left = [
        f"{kind} {name}"
        for kind, names in take_inventory().items()
        for name in sorted(names - before[kind])
        if name not in allowed
    ]
    if left:
        raise CheckError("the deleted stacks leave resources behind:\n  " + "\n  ".join(left))


def _is_enabled(key_id: str) -> bool:
    """Return whether a key exists and is not scheduled for deletion."""
    state: str = boto3.client("kms").describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"]
    return state == "Enabled"
