"""Compare each resource of a deployed template with its service's own description, property by property."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dev.deploy_check import read_stack
from dev.deploy_check.unsupported_properties import UNSUPPORTED_PROPERTIES
from dev.errors import CheckError
from dev.local.stack import ACCOUNT_ID, REGION
from dev.local.template import NO_VALUE, Template


def compare_properties(
    source: Mapping[str, Any], parameters: Mapping[str, str], physical_ids: Mapping[str, str], stack_name: str
) -> tuple[int, list[str]]:
    """Compare each resource of a deployed template with its service's own description.

    Returns:
        The number of equal properties, and the properties that the emulator does not return.

    Raises:
        CheckError: a resource is missing or a property differs.
    """
    template = resolvable_template(source, parameters, physical_ids, stack_name)
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


def resolvable_template(
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
    """What was deployed, with its parameters resolved."""

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
