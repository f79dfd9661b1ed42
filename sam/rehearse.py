"""`python -m sam.rehearse`: a deploy as far as it goes without an AWS account.

The built template is packaged by `sam package`, goes through SAM's own transform, and is applied as a change set to a
stand-in for CloudFormation (ministack). Then each resource is read back and compared with the template, property by
property. What the stand-in does not show is named in `sam/unshown.py`, and printed.
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

from local.stack import ACCOUNT, REGION
from local.template import Template
from sam import deployed, stack
from sam.children import child, wait_for
from sam.errors import SamError
from sam.translated import translated
from sam.unshown import METRIC_MATH, UNSHOWN, stand_in_alarm

WORK = stack.ROOT / "build" / "rehearsal"
ARTIFACTS = "artifacts"
NAME = "ferry"
END_SECONDS = 120.0
LARGEST_TEMPLATE = 1_000_000
"""Bytes that CloudFormation takes of a template in S3."""


def main() -> int:
    """Exit codes: 0 what was deployed is what the template says, 1 it is not, and it was said."""
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        if "--built" not in sys.argv:
            stack.build()
        with _cloud():
            _rehearse()
    except SamError as error:
        sys.stderr.write(f"rehearsal: {error}\n")
        return 1
    return 0


def _rehearse() -> None:
    boto3.client("s3").create_bucket(Bucket=ARTIFACTS)
    parameters = {"Architecture": stack.architecture()}
    template = translated(_packaged(), parameters)
    nested = _nested(template)
    resources = _deployed(template, parameters)
    compared, unshown = _compare(template, parameters, resources, NAME)
    inner = resources["Watch"]
    inner_parameters = {
        entry["ParameterKey"]: entry["ParameterValue"]
        for entry in boto3.client("cloudformation").describe_stacks(StackName=inner)["Stacks"][0]["Parameters"]
    }
    more, unshown_too = _compare(nested, inner_parameters, _resources(inner), inner)
    print(f"rehearsal: {len(resources)} resources, {compared + more} properties read back and equal")
    for line in sorted({*unshown, *unshown_too, METRIC_MATH}):
        print(f"  not shown by the stand-in: {line}")


@contextmanager
def _cloud() -> Iterator[None]:
    """ministack on a port of its own; the environment points every client here to it until the end of the block."""
    port, log = stack.free_port(), WORK / "ministack.log"
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "STATE_DIR": str(WORK / "state")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    url = f"http://127.0.0.1:{port}"
    before = dict(os.environ)
    with child(["ministack"], env={**kept, **settings}, log=log) as process:
        wait_for(lambda: _answers(url), process, what="ministack", log=log, seconds=60)
        os.environ.update(
            {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "rehearsal",
                "AWS_SECRET_ACCESS_KEY": "rehearsal",
                "AWS_DEFAULT_REGION": REGION,
                "SAM_CLI_TELEMETRY": "0",
            }
        )
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _packaged() -> dict[str, Any]:
    target = WORK / "packaged.yaml"
    command = ["sam", "package", "--template-file", ".aws-sam/build/template.yaml", "--s3-bucket", ARTIFACTS]
    done = subprocess.run(
        [*command, "--output-template-file", str(target)], cwd=stack.ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SamError(f"`sam package` failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = yaml_parse(target.read_text(encoding="utf-8"))
    return found


def _nested(template: Mapping[str, Any]) -> dict[str, Any]:
    """The nested template, from where `sam package` has put it; alarms there are made fit for the stand-in."""
    url = template["Resources"]["Watch"]["Properties"]["TemplateURL"]
    key = url.rpartition("/")[2]
    s3 = boto3.client("s3")
    found: dict[str, Any] = yaml_parse(s3.get_object(Bucket=ARTIFACTS, Key=key)["Body"].read().decode())
    for body in found["Resources"].values():
        if body["Type"] == "AWS::CloudWatch::Alarm":
            stand_in_alarm(body["Properties"])
    s3.put_object(Bucket=ARTIFACTS, Key=key, Body=json.dumps(found, default=str).encode())
    return found


def _deployed(template: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, str]:
    """As `sam deploy` does it: the template in S3, a change set, its execution. Physical ids by logical ones."""
    body = json.dumps(template, default=str)
    if len(body) > LARGEST_TEMPLATE:
        raise SamError(f"the template has {len(body):,} bytes; CloudFormation takes {LARGEST_TEMPLATE:,}")
    boto3.client("s3").put_object(Bucket=ARTIFACTS, Key="ferry.template", Body=body.encode())
    formation: Any = boto3.client("cloudformation")
    change_set = {"StackName": NAME, "ChangeSetName": "first"}
    formation.create_change_set(
        **change_set,
        ChangeSetType="CREATE",
        TemplateURL=f"{os.environ['AWS_ENDPOINT_URL']}/{ARTIFACTS}/ferry.template",
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    _ended(lambda: formation.describe_change_set(**change_set)["Status"], "CREATE_COMPLETE")
    formation.execute_change_set(**change_set)
    _ended(lambda: formation.describe_stacks(StackName=NAME)["Stacks"][0]["StackStatus"], "CREATE_COMPLETE")
    return _resources(NAME)


def _ended(status: Any, wanted: str) -> None:
    end = time.monotonic() + END_SECONDS
    while (found := status()).endswith(("IN_PROGRESS", "PENDING")):
        if time.monotonic() > end:
            raise SamError(f"the stack is {found} for too long")
        time.sleep(0.2)
    if found != wanted:
        events = boto3.client("cloudformation").describe_stack_events(StackName=NAME)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in events
            if "FAILED" in event["ResourceStatus"]
        ]
        raise SamError(f"the stack is {found}: {'; '.join(reasons)}")


def _resources(name: str) -> dict[str, str]:
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
    return {
        entry["LogicalResourceId"]: entry["PhysicalResourceId"]
        for page in pages
        for entry in page["StackResourceSummaries"]
    }


def _compare(
    source: Mapping[str, Any], parameters: Mapping[str, str], physical: Mapping[str, str], name: str
) -> tuple[int, list[str]]:
    """How many properties are as the template says, and what is not shown. Raises `SamError` for what is otherwise."""
    kinds = {logical: body["Type"] for logical, body in source["Resources"].items()}
    template = Template(
        source,
        parameters,
        references=lambda logical: physical.get(logical, logical),
        attribute=lambda logical, attribute: _attribute(kinds[logical], physical[logical], attribute),
        pseudo={
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": REGION,
            "AWS::StackName": name,
            "AWS::URLSuffix": "amazonaws.com",
        },
    )
    equal, unshown, wrong = 0, [], []
    for kind in sorted(set(kinds.values())):
        for logical, body in template.resources(kind).items():
            if logical not in physical:
                wrong.append(f"{logical} was not made")
                continue
            properties = body.get("Properties", {})
            # A policy of a bucket has no name of its own that S3 would know.
            known_by = template.resolve(properties["Bucket"]) if kind == "AWS::S3::BucketPolicy" else physical[logical]
            there = deployed.read(kind, known_by)
            for member, value in properties.items():
                subject = f"{kind} {member}"
                if there is None:
                    unshown.append(f"{kind}, any property")
                    continue
                same = _normal(member, there.get(member)) == _normal(member, template.resolve(value))
                if subject in UNSHOWN:
                    unshown.append(subject)
                    if same:
                        wrong.append(f"{logical}.{member} is shown: sam/unshown.py has it needlessly")
                elif same:
                    equal += 1
                else:
                    wrong.append(f"{logical}.{member}: {there.get(member)!r} instead of {template.resolve(value)!r}")
    if wrong:
        raise SamError("what was deployed is not what the template says:\n  " + "\n  ".join(wrong))
    return equal, unshown


def _attribute(kind: str, physical: str, attribute: str) -> str:
    last = physical.rpartition("/")[2].rpartition(":")[2]
    if attribute != "Arn":
        return last
    place = {
        "AWS::CloudWatch::Alarm": f"cloudwatch:{REGION}:{ACCOUNT}:alarm:{physical}",
        "AWS::DynamoDB::Table": f"dynamodb:{REGION}:{ACCOUNT}:table/{physical}",
        "AWS::Events::EventBus": f"events:{REGION}:{ACCOUNT}:event-bus/{physical}",
        "AWS::IAM::Role": f"iam::{ACCOUNT}:role/{physical}",
        "AWS::KMS::Key": f"kms:{REGION}:{ACCOUNT}:key/{physical}",
        "AWS::Lambda::Function": f"lambda:{REGION}:{ACCOUNT}:function:{physical}",
        "AWS::Logs::LogGroup": f"logs:{REGION}:{ACCOUNT}:log-group:{physical}:*",
        "AWS::S3::Bucket": f"s3:::{physical}",
        "AWS::SQS::Queue": f"sqs:{REGION}:{ACCOUNT}:{last}",
    }.get(kind)
    return f"arn:aws:{place}" if place else physical


def _normal(member: str, value: Any) -> Any:
    """Numbers and truth values as texts, which is what parameters are; a dashboard's JSON as what it says."""
    if member == "DashboardBody" and isinstance(value, str):
        return _normal("", json.loads(value))
    if isinstance(value, Mapping):
        return {str(key): _normal("", item) for key, item in value.items()}
    if isinstance(value, list):
        return [_normal("", item) for item in value]
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}"
    return value


if __name__ == "__main__":
    sys.exit(main())
