"""Deploy the built template to a CloudFormation emulator and check the result: `python -m dev.deploy_check`.

`sam package` packages the template, SAM's transform expands it, and a change set applies it to ministack. Then each
resource is read through its service's API and compared with the template, property by property. Properties that the
emulator does not return are listed in `dev/deploy_check/unsupported_properties.py` and printed.

Option: --skip-build uses the existing build in .aws-sam.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
from samcli.yamlhelper import yaml_parse

from dev.deploy_check import read_stack
from dev.deploy_check.unsupported_properties import UNSUPPORTED_METRIC_MATH, UNSUPPORTED_PROPERTIES, replace_metric_math
from dev.docker import start_api
from dev.docker.errors import SamError
from dev.docker.processes import managed_process, wait_for
from dev.errors import CheckError
from dev.local import sam_cli
from dev.local.stack import ACCOUNT_ID, REGION
from dev.local.template import NO_VALUE, Template
from dev.paths import ROOT
from dev.template.sam_transform import transform_template

WORK_FOLDER = ROOT / "build" / "deploy-check"
ARTIFACTS_BUCKET = "artifacts"
STACK_NAME = "ferry"
STACK_TIMEOUT_SECONDS = 120.0
MAX_TEMPLATE_BYTES = 1_000_000
"""CloudFormation's limit for a template in S3."""


def main() -> int:
    """Return 0 if the deployed resources equal the template, 1 otherwise."""
    shutil.rmtree(WORK_FOLDER, ignore_errors=True)
    WORK_FOLDER.mkdir(parents=True)
    try:
        if "--skip-build" not in sys.argv:
            start_api.build()
        with _ministack():
            _check_deploy()
    except (CheckError, SamError) as error:
        sys.stderr.write(f"deploy check: {error}\n")
        return 1
    return 0


def _check_deploy() -> None:
    boto3.client("s3").create_bucket(Bucket=ARTIFACTS_BUCKET)
    parameters = {"Architecture": sam_cli.host_architecture()}
    template = transform_template(_package_template(), parameters)
    nested = _prepare_nested_template(template)
    resources = _deploy(template, parameters)
    equal, unsupported = _compare_properties(template, parameters, resources, STACK_NAME)
    nested_stack = resources["Monitoring"]
    nested_parameters = {
        entry["ParameterKey"]: entry["ParameterValue"]
        for entry in boto3.client("cloudformation").describe_stacks(StackName=nested_stack)["Stacks"][0]["Parameters"]
    }
    nested_equal, nested_unsupported = _compare_properties(
        nested, nested_parameters, _physical_ids(nested_stack), nested_stack
    )
    print(f"deploy check: {len(resources)} resources, {equal + nested_equal} properties equal the template")
    for line in sorted({*unsupported, *nested_unsupported, UNSUPPORTED_METRIC_MATH}):
        print(f"  not checked, the emulator does not return it: {line}")


@contextmanager
def _ministack() -> Iterator[None]:
    """Run ministack on a free port. Inside the block, the environment points every AWS client to it."""
    port, log = start_api.free_port(), WORK_FOLDER / "ministack.log"
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "STATE_DIR": str(WORK_FOLDER / "state")}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    url = f"http://127.0.0.1:{port}"
    before = dict(os.environ)
    with managed_process(["ministack"], env={**inherited, **settings}, log_path=log) as process:
        wait_for(lambda: _is_reachable(url), process, name="ministack", log_path=log, timeout_seconds=60)
        os.environ.update(
            {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "deploy-check",
                "AWS_SECRET_ACCESS_KEY": "deploy-check",
                "AWS_DEFAULT_REGION": REGION,
                "SAM_CLI_TELEMETRY": "0",
            }
        )
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _is_reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _package_template() -> dict[str, Any]:
    """Return the template that `sam package` writes, with the artifacts uploaded. Raises `CheckError`."""
    target = WORK_FOLDER / "packaged.yaml"
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


def _prepare_nested_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the nested template that `sam package` uploaded, after replacing the metric math of its alarms."""
    url = template["Resources"]["Monitoring"]["Properties"]["TemplateURL"]
    key = url.rpartition("/")[2]
    s3 = boto3.client("s3")
    nested: dict[str, Any] = yaml_parse(s3.get_object(Bucket=ARTIFACTS_BUCKET, Key=key)["Body"].read().decode())
    for resource in nested["Resources"].values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            replace_metric_math(resource["Properties"])
    s3.put_object(Bucket=ARTIFACTS_BUCKET, Key=key, Body=json.dumps(nested, default=str).encode())
    return nested


def _deploy(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """Deploy as `sam deploy` does: upload the template, create a change set, execute it.

    Returns:
        The physical ids by logical id.

    Raises:
        CheckError: the template is too large, or the stack was not created.
    """
    body = json.dumps(template, default=str)
    if len(body) > MAX_TEMPLATE_BYTES:
        raise CheckError(f"the template has {len(body):,} bytes; CloudFormation's limit is {MAX_TEMPLATE_BYTES:,}")
    boto3.client("s3").put_object(Bucket=ARTIFACTS_BUCKET, Key="ferry.template", Body=body.encode())
    cloudformation: Any = boto3.client("cloudformation")
    change_set = {"StackName": STACK_NAME, "ChangeSetName": "first"}
    cloudformation.create_change_set(
        **change_set,
        ChangeSetType="CREATE",
        TemplateURL=f"{os.environ['AWS_ENDPOINT_URL']}/{ARTIFACTS_BUCKET}/ferry.template",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    _wait_for_status(lambda: cloudformation.describe_change_set(**change_set)["Status"], "CREATE_COMPLETE")
    cloudformation.execute_change_set(**change_set)
    _wait_for_status(
        lambda: cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]["StackStatus"], "CREATE_COMPLETE"
    )
    return _physical_ids(STACK_NAME)


def _wait_for_status(read_status: Callable[[], str], expected_status: str) -> None:
    deadline = time.monotonic() + STACK_TIMEOUT_SECONDS
    while (status := read_status()).endswith(("IN_PROGRESS", "PENDING")):
        if time.monotonic() > deadline:
            raise CheckError(f"the stack is still {status} after {STACK_TIMEOUT_SECONDS:.0f} s")
        time.sleep(0.2)
    if status != expected_status:
        events = boto3.client("cloudformation").describe_stack_events(StackName=STACK_NAME)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if "FAILED" in event["ResourceStatus"]
        ]
        raise CheckError(f"the stack is {status}: {'; '.join(reasons)}")


def _physical_ids(stack_name: str) -> dict[str, str]:
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=stack_name)
    return {
        entry["LogicalResourceId"]: entry["PhysicalResourceId"]
        for page in pages
        for entry in page["StackResourceSummaries"]
    }


def _compare_properties(
    source: Mapping[str, Any], parameters: Mapping[str, str], physical_ids: Mapping[str, str], stack_name: str
) -> tuple[int, list[str]]:
    """Compare each resource of a deployed template with its service's own description.

    Returns:
        The number of equal properties, and the properties that the emulator does not return.

    Raises:
        CheckError: a resource is missing or a property differs.
    """
    template = _resolvable_template(source, parameters, physical_ids, stack_name)
    comparison = PropertyComparison(template)
    for resource_type in sorted({body["Type"] for body in source["Resources"].values()}):
        for logical_id, body in template.resources(resource_type).items():
            if logical_id in physical_ids:
                comparison.compare(logical_id, resource_type, body.get("Properties", {}), physical_ids[logical_id])
            else:
                comparison.failures.append(f"{logical_id} was not created")
    if comparison.failures:
        raise CheckError("the deployed stack differs from the template:\n  " + "\n  ".join(comparison.failures))
    return comparison.equal_count, comparison.unsupported


def _resolvable_template(
    source: Mapping[str, Any], parameters: Mapping[str, str], physical_ids: Mapping[str, str], stack_name: str
) -> Template:
    """Return the template with references and attributes that resolve to the deployed resources."""
    types = {logical_id: body["Type"] for logical_id, body in source["Resources"].items()}
    return Template(
        source,
        parameters,
        resolve_reference=lambda logical_id: physical_ids.get(logical_id, logical_id),
        resolve_attribute=lambda logical_id, attribute: _resolve_attribute(
            types[logical_id], physical_ids[logical_id], attribute
        ),
        pseudo_parameters={
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackName": stack_name,
            "AWS::URLSuffix": "amazonaws.com",
        },
    )


@dataclass
class PropertyComparison:
    """The result of comparing resources with their template."""

    template: Template

    equal_count: int = 0
    """Properties that equal the template."""

    unsupported: list[str] = field(default_factory=list)
    """Properties that the emulator does not return, as resource type and property name."""

    failures: list[str] = field(default_factory=list)
    """Differences, one line each."""

    def compare(self, logical_id: str, resource_type: str, properties: Mapping[str, Any], physical_id: str) -> None:
        """Compare the template's properties of one resource with those that its service returns."""
        # S3 has no name for a bucket policy: it is read by its bucket.
        is_bucket_policy = resource_type == "AWS::S3::BucketPolicy"
        read_by = self.template.resolve(properties["Bucket"]) if is_bucket_policy else physical_id
        deployed = read_stack.read_properties(resource_type, read_by)
        if deployed is None:
            if properties:
                self.unsupported.append(f"{resource_type}, any property")
            return
        for name, value in properties.items():
            self._compare_property(f"{logical_id}.{name}", f"{resource_type} {name}", name, value, deployed.get(name))

    def _compare_property(self, path: str, kind: str, name: str, value: Any, actual: Any) -> None:
        resolved = self.template.resolve(value)
        expected = None if resolved is NO_VALUE else resolved
        equal = _normalize(name, actual) == _normalize(name, expected)
        if kind in UNSUPPORTED_PROPERTIES:
            self.unsupported.append(kind)
            if equal:
                self.failures.append(
                    f"{path} is returned by the emulator: remove it from dev/deploy_check/unsupported_properties.py"
                )
        elif equal:
            self.equal_count += 1
        else:
            self.failures.append(f"{path} is {actual!r}, the template has {expected!r}")


def _resolve_attribute(resource_type: str, physical_id: str, attribute: str) -> str:
    """Return `Fn::GetAtt` of a deployed resource: its ARN, or for any other attribute the end of its physical id."""
    name = physical_id.rpartition("/")[2].rpartition(":")[2]
    if attribute != "Arn":
        return name
    arn_suffix = {
        "AWS::CloudWatch::Alarm": f"cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{physical_id}",
        "AWS::DynamoDB::Table": f"dynamodb:{REGION}:{ACCOUNT_ID}:table/{physical_id}",
        "AWS::Events::EventBus": f"events:{REGION}:{ACCOUNT_ID}:event-bus/{physical_id}",
        "AWS::IAM::Role": f"iam::{ACCOUNT_ID}:role/{physical_id}",
        "AWS::KMS::Key": f"kms:{REGION}:{ACCOUNT_ID}:key/{physical_id}",
        "AWS::Lambda::Function": f"lambda:{REGION}:{ACCOUNT_ID}:function:{physical_id}",
        "AWS::Logs::LogGroup": f"logs:{REGION}:{ACCOUNT_ID}:log-group:{physical_id}:*",
        "AWS::S3::Bucket": f"s3:::{physical_id}",
        "AWS::SQS::Queue": f"sqs:{REGION}:{ACCOUNT_ID}:{name}",
    }.get(resource_type)
    return f"arn:aws:{arn_suffix}" if arn_suffix else physical_id


def _normalize(member: str, value: Any) -> Any:
    """Return a value in comparable form: numbers and booleans as text, as parameters have them; JSON text parsed."""
    if member == "DashboardBody" and isinstance(value, str):
        return _normalize("", json.loads(value))
    if isinstance(value, Mapping):
        return {str(key): _normalize("", item) for key, item in value.items()}
    if isinstance(value, list):
        return [_normalize("", item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    return value


if __name__ == "__main__":
    sys.exit(main())
