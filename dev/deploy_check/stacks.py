"""Package a template, and create, update and delete stacks as `sam deploy` and `sam delete` do."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import ClientError
from samcli.yamlhelper import yaml_parse

from dev.deploy_check.unsupported_properties import replace_metric_math
from dev.errors import CheckError
from dev.paths import ROOT
from dev.template.sam_transform import FILE_PROPERTIES, transform_template

ARTIFACTS_BUCKET = "artifacts"
STACK_TIMEOUT_SECONDS = 120.0
MAX_TEMPLATE_BYTES = 1_000_000
"""CloudFormation's limit for a template in S3."""


@dataclass(frozen=True, slots=True)
class PackagedTemplate:
    """A template whose files are uploaded, expanded by SAM's transform."""

    template: dict[str, Any]
    """The expanded template."""
    nested: dict[str, Any]
    """The template of the stack `Monitoring`, as the emulator gets it."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack."""

    name: str
    """Its name; of a nested stack, its id."""
    resources: Mapping[str, str]
    """The physical ids by logical id."""
    parameters: Mapping[str, str]
    """The values of its parameters by name; those that have their default may be absent."""

    def nested(self) -> Stack:
        """Return the stack `Monitoring` in it."""
        return describe_stack(self.resources["Monitoring"])


def create_artifacts_bucket() -> None:
    """Create the bucket for what `sam package` uploads."""
    boto3.client("s3").create_bucket(Bucket=ARTIFACTS_BUCKET)


def sam_package(work_folder: Path) -> dict[str, Any]:
    """Return the template that `sam package` writes, with the artifacts uploaded. Raises `CheckError`."""
    target = work_folder / "packaged.yaml"
    command = ["sam", "package", "--template-file", ".aws-sam/build/template.yaml", "--s3-bucket", ARTIFACTS_BUCKET]
    completed = subprocess.run(
        [*command, "--output-template-file", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        raise CheckError(f"`sam package` failed:\n{completed.stderr[-2000:]}")
    template: dict[str, Any] = yaml_parse(target.read_text(encoding="utf-8"))
    return template


def package_folder(folder: Path) -> dict[str, Any]:
    """Return the template of a folder with an empty archive as the code of its functions and its layer.

    The emulator does not run them. `monitoring.yaml` of the folder is uploaded.
    """
    template: dict[str, Any] = yaml_parse((folder / "template.yaml").read_text(encoding="utf-8"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", "")
    code = _upload(f"{folder.name}/code.zip", archive.getvalue())
    for body in template["Resources"].values():
        if property_name := FILE_PROPERTIES.get(body["Type"]):
            properties, is_stack = body["Properties"], body["Type"] == "AWS::CloudFormation::Stack"
            properties[property_name] = (
                _upload_nested(folder / properties[property_name], folder.name) if is_stack else f"s3://{code}"
            )
    return template


def _upload_nested(path: Path, prefix: str) -> str:
    """Upload a nested template and return its URL."""
    return f"{os.environ['AWS_ENDPOINT_URL']}/{_upload(f'{prefix}/{path.name}', path.read_bytes())}"


def _upload(key: str, body: bytes) -> str:
    boto3.client("s3").put_object(Bucket=ARTIFACTS_BUCKET, Key=key, Body=body)
    return f"{ARTIFACTS_BUCKET}/{key}"


def expand(packaged: Mapping[str, Any], parameters: Mapping[str, str]) -> PackagedTemplate:
    """Return the expanded template, after replacing the metric math of its alarms.

    Raises:
        CheckError: the template is too large.
    """
    template = transform_template(packaged, parameters)
    size = len(json.dumps(template, default=str))
    if size > MAX_TEMPLATE_BYTES:
        raise CheckError(f"the template has {size:,} bytes; CloudFormation's limit is {MAX_TEMPLATE_BYTES:,}")
    return PackagedTemplate(template, _prepare_nested_template(template))


def _prepare_nested_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested template that `sam package` uploaded, after replacing the metric math of its alarms."""
    url = template["Resources"]["Monitoring"]["Properties"]["TemplateURL"]
    key = url.partition(f"/{ARTIFACTS_BUCKET}/")[2]
    s3 = boto3.client("s3")
    nested: dict[str, Any] = yaml_parse(s3.get_object(Bucket=ARTIFACTS_BUCKET, Key=key)["Body"].read().decode())
    for resource in nested["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            replace_metric_math(resource["Properties"])
    s3.put_object(Bucket=ARTIFACTS_BUCKET, Key=key, Body=json.dumps(nested, default=str).encode())
    return nested


def create_stack(name: str, template: Mapping[str, Any], parameters: Mapping[str, str]) -> Stack:
    """Create a stack as `sam deploy` does. Raises `CheckError` if CloudFormation does not create it."""
    return _apply("CREATE", name, template, parameters)


def update_stack(stack: Stack, template: Mapping[str, Any]) -> Stack:
    """Update a stack as `sam deploy` does. Raises `CheckError` if CloudFormation does not update it."""
    return _apply("UPDATE", stack.name, template, stack.parameters)


def _apply(change: str, name: str, template: Mapping[str, Any], parameters: Mapping[str, str]) -> Stack:
    """Upload the template, create a change set and execute it."""
    key = f"{name}-{change.lower()}.template"
    _upload(key, json.dumps(template, default=str).encode())
    cloudformation: Any = boto3.client("cloudformation")
    change_set = {"StackName": name, "ChangeSetName": f"{name}-{change.lower()}"}
    cloudformation.create_change_set(
        **change_set,
        ChangeSetType=change,
        TemplateURL=f"{os.environ['AWS_ENDPOINT_URL']}/{ARTIFACTS_BUCKET}/{key}",
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    _wait_for_status(name, lambda: cloudformation.describe_change_set(**change_set)["Status"], "CREATE_COMPLETE")
    cloudformation.execute_change_set(**change_set)
    _wait_for_status(name, lambda: _status(name), f"{change}_COMPLETE")
    return describe_stack(name)


def delete_stack(stack: Stack) -> None:
    """Delete a stack. Raises `CheckError` if CloudFormation does not delete it."""
    boto3.client("cloudformation").delete_stack(StackName=stack.name)
    _wait_for_status(stack.name, lambda: _status(stack.name), "DELETE_COMPLETE")


def describe_stack(name: str) -> Stack:
    """Return a deployed stack, by its name or its id."""
    cloudformation = boto3.client("cloudformation")
    (found,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    parameters = {entry["ParameterKey"]: entry["ParameterValue"] for entry in found.get("Parameters", [])}
    return Stack(name, _physical_ids(name), parameters)


def _status(stack_name: str) -> str:
    # CloudFormation describes a deleted stack by its id only, not by its name.
    try:
        return boto3.client("cloudformation").describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"]
    except ClientError:
        return "DELETE_COMPLETE"


def _wait_for_status(stack_name: str, read_status: Callable[[], str], expected_status: str) -> None:
    deadline = time.monotonic() + STACK_TIMEOUT_SECONDS
    while (status := read_status()).endswith(("IN_PROGRESS", "PENDING")):
        if time.monotonic() > deadline:
            raise CheckError(f"the stack {stack_name} is still {status} after {STACK_TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.2)
    if status != expected_status:
        events = boto3.client("cloudformation").describe_stack_events(StackName=stack_name)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if "FAILED" in event["ResourceStatus"]
        ]
        raise CheckError(f"the stack {stack_name} is {status}: {'; '.join(reasons)}")


def _physical_ids(stack_name: str) -> dict[str, str]:
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_name)
    return {
        entry["LogicalResourceId"]: entry["PhysicalResourceId"]
        for page in pages
        for entry in page["StackResourceSummaries"]
    }
