"""`python -m dev.deploy_check`: a deploy as far as it goes without an AWS account.

The built template is packaged by `sam package`, goes through SAM's own transform, and is applied as a change set to a
stand-in for CloudFormation (ministack). Then each resource is read back and compared with the template, property by
property. What the stand-in does not show is named in `dev/deploy_check/unsupported_properties.py`, and printed.
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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
from samcli.yamlhelper import yaml_parse

from dev.deploy_check import read_stack
from dev.deploy_check.unsupported_properties import UNSUPPORTED_METRIC_MATH, UNSUPPORTED_PROPERTIES, replace_metric_math
from dev.docker import start_api
from dev.docker.errors import SamError
from dev.docker.processes import managed_process, wait_for
from dev.local.stack import ACCOUNT_ID, REGION
from dev.local.template import Template
from dev.paths import ROOT
from dev.template.sam_transform import transform_template

WORK_FOLDER = ROOT / "build" / "deploy-check"
ARTIFACTS_BUCKET = "artifacts"
STACK_NAME = "ferry"
STACK_TIMEOUT_SECONDS = 120.0
MAX_TEMPLATE_BYTES = 1_000_000
"""Bytes that CloudFormation takes of a template in S3."""


def main() -> int:
    """Exit codes: 0 what was deployed is what the template says, 1 it is not, and it was said."""
    shutil.rmtree(WORK_FOLDER, ignore_errors=True)
    WORK_FOLDER.mkdir(parents=True)
    try:
        if "--skip-build" not in sys.argv:
            start_api.build()
        with _ministack():
            _check_deploy()
    except SamError as error:
        sys.stderr.write(f"rehearsal: {error}\n")
        return 1
    return 0


def _check_deploy() -> None:
    boto3.client("s3").create_bucket(Bucket=ARTIFACTS_BUCKET)
    parameters = {"Architecture": start_api.architecture()}
    template = transform_template(_package_template(), parameters)
    nested = _prepare_nested_template(template)
    resources = _deploy(template, parameters)
    compared, unshown = _compare_properties(template, parameters, resources, STACK_NAME)
    inner = resources["Monitoring"]
    inner_parameters = {
        entry["ParameterKey"]: entry["ParameterValue"]
        for entry in boto3.client("cloudformation").describe_stacks(StackName=inner)["Stacks"][0]["Parameters"]
    }
    more, unshown_too = _compare_properties(nested, inner_parameters, _physical_ids(inner), inner)
    print(f"rehearsal: {len(resources)} resources, {compared + more} properties read back and equal")
    for line in sorted({*unshown, *unshown_too, UNSUPPORTED_METRIC_MATH}):
        print(f"  not shown by the stand-in: {line}")


@contextmanager
def _ministack() -> Iterator[None]:
    """ministack on a port of its own; the environment points every client here to it until the end of the block."""
    port, log = start_api.free_port(), WORK_FOLDER / "ministack.log"
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "STATE_DIR": str(WORK_FOLDER / "state")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    url = f"http://127.0.0.1:{port}"
    before = dict(os.environ)
    with managed_process(["ministack"], env={**kept, **settings}, log_path=log) as process:
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
    target = WORK_FOLDER / "packaged.yaml"
    command = ["sam", "package", "--template-file", ".aws-sam/build/template.yaml", "--s3-bucket", ARTIFACTS_BUCKET]
    done = subprocess.run(
        [*command, "--output-template-file", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SamError(f"`sam package` failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = yaml_parse(target.read_text(encoding="utf-8"))
    return found


def _prepare_nested_template(template: Mapping[str, Any]) -> dict[str, Any]:
    """The nested template, from where `sam package` has put it; alarms there are made fit for the stand-in."""
    url = template["Resources"]["Monitoring"]["Properties"]["TemplateURL"]
    key = url.rpartition("/")[2]
    s3 = boto3.client("s3")
    found: dict[str, Any] = yaml_parse(s3.get_object(Bucket=ARTIFACTS_BUCKET, Key=key)["Body"].read().decode())
    for body in found["Resources"].values():
        if body["Type"] == "AWS::CloudWatch::Alarm":
            replace_metric_math(body["Properties"])
    s3.put_object(Bucket=ARTIFACTS_BUCKET, Key=key, Body=json.dumps(found, default=str).encode())
    return found


def _deploy(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """As `sam deploy` does it: the template in S3, a change set, its execution. Physical ids by logical ones."""
    body = json.dumps(template, default=str)
    if len(body) > MAX_TEMPLATE_BYTES:
        raise SamError(f"the template has {len(body):,} bytes; CloudFormation takes {MAX_TEMPLATE_BYTES:,}")
    boto3.client("s3").put_object(Bucket=ARTIFACTS_BUCKET, Key="ferry.template", Body=body.encode())
    formation: Any = boto3.client("cloudformation")
    change_set = {"StackName": STACK_NAME, "ChangeSetName": "first"}
    formation.create_change_set(
        **change_set,
        ChangeSetType="CREATE",
        TemplateURL=f"{os.environ['AWS_ENDPOINT_URL']}/{ARTIFACTS_BUCKET}/ferry.template",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    _wait_for_status(lambda: formation.describe_change_set(**change_set)["Status"], "CREATE_COMPLETE")
    formation.execute_change_set(**change_set)
    _wait_for_status(
        lambda: formation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]["StackStatus"], "CREATE_COMPLETE"
    )
    return _physical_ids(STACK_NAME)


def _wait_for_status(read_status: Any, expected_status: str) -> None:
    end = time.monotonic() + STACK_TIMEOUT_SECONDS
    while (found := read_status()).endswith(("IN_PROGRESS", "PENDING")):
        if time.monotonic() > end:
            raise SamError(f"the stack is {found} for too long")
        time.sleep(0.2)
    if found != expected_status:
        events = boto3.client("cloudformation").describe_stack_events(StackName=STACK_NAME)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if "FAILED" in event["ResourceStatus"]
        ]
        raise SamError(f"the stack is {found}: {'; '.join(reasons)}")


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
    """How many properties are as the template says, and what is not shown. Raises `SamError` for what is otherwise."""
    kinds = {logical: body["Type"] for logical, body in source["Resources"].items()}
    template = Template(
        source,
        parameters,
        resolve_reference=lambda logical: physical_ids.get(logical, logical),
        resolve_attribute=lambda logical, attribute: _resolve_attribute(
            kinds[logical], physical_ids[logical], attribute
        ),
        pseudo_parameters={
            "AWS::AccountId": ACCOUNT_ID,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackName": stack_name,
            "AWS::URLSuffix": "amazonaws.com",
        },
    )
    equal, unshown, wrong = 0, [], []
    for kind in sorted(set(kinds.values())):
        for logical, body in template.resources(kind).items():
            if logical not in physical_ids:
                wrong.append(f"{logical} was not made")
                continue
            properties = body.get("Properties", {})
            # A policy of a bucket has no name of its own that S3 would know.
            known_by = (
                template.resolve(properties["Bucket"]) if kind == "AWS::S3::BucketPolicy" else physical_ids[logical]
            )
            there = read_stack.read_properties(kind, known_by)
            for member, value in properties.items():
                subject = f"{kind} {member}"
                if there is None:
                    unshown.append(f"{kind}, any property")
                    continue
                same = _normalize(member, there.get(member)) == _normalize(member, template.resolve(value))
                if subject in UNSUPPORTED_PROPERTIES:
                    unshown.append(subject)
                    if same:
                        wrong.append(
                            f"{logical}.{member} is shown: dev/deploy_check/unsupported_properties.py has it needlessly"
                        )
                elif same:
                    equal += 1
                else:
                    wrong.append(f"{logical}.{member}: {there.get(member)!r} instead of {template.resolve(value)!r}")
    if wrong:
        raise SamError("what was deployed is not what the template says:\n  " + "\n  ".join(wrong))
    return equal, unshown


def _resolve_attribute(resource_type: str, physical_id: str, attribute: str) -> str:
    last = physical_id.rpartition("/")[2].rpartition(":")[2]
    if attribute != "Arn":
        return last
    place = {
        "AWS::CloudWatch::Alarm": f"cloudwatch:{REGION}:{ACCOUNT_ID}:alarm:{physical_id}",
        "AWS::DynamoDB::Table": f"dynamodb:{REGION}:{ACCOUNT_ID}:table/{physical_id}",
        "AWS::Events::EventBus": f"events:{REGION}:{ACCOUNT_ID}:event-bus/{physical_id}",
        "AWS::IAM::Role": f"iam::{ACCOUNT_ID}:role/{physical_id}",
        "AWS::KMS::Key": f"kms:{REGION}:{ACCOUNT_ID}:key/{physical_id}",
        "AWS::Lambda::Function": f"lambda:{REGION}:{ACCOUNT_ID}:function:{physical_id}",
        "AWS::Logs::LogGroup": f"logs:{REGION}:{ACCOUNT_ID}:log-group:{physical_id}:*",
        "AWS::S3::Bucket": f"s3:::{physical_id}",
        "AWS::SQS::Queue": f"sqs:{REGION}:{ACCOUNT_ID}:{last}",
    }.get(resource_type)
    return f"arn:aws:{place}" if place else physical_id


def _normalize(member: str, value: Any) -> Any:
    """Numbers and truth values as texts, which is what parameters are; a dashboard's JSON as what it says."""
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
