"""Tables and buckets with the properties of template.yaml."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from typing import TYPE_CHECKING, Any

from dev.local.template import load_template
from dev.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

TEMPLATE = ROOT / "template.yaml"
TABLE_PROPERTIES = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")


def resource_properties(logical_id: str) -> dict[str, Any]:
    """Return the properties of a resource, with intrinsic functions in their long form."""
    properties: dict[str, Any] = _resources()[logical_id]["Properties"]
    return deepcopy(properties)


@cache
def _resources() -> dict[str, Any]:
    """Return the template's resources. Cached, because parsing takes 40 ms and every table of a test needs them."""
    resources: dict[str, Any] = load_template(TEMPLATE)["Resources"]
    return resources


def create_table(client: DynamoDBClient, logical_id: str, name: str) -> None:
    """Create a table of the template under another name, and wait until it exists."""
    properties = resource_properties(logical_id)
    client.create_table(TableName=name, **{key: properties[key] for key in TABLE_PROPERTIES if key in properties})
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    if "TimeToLiveSpecification" in properties:
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"])


def create_bucket(client: S3Client, name: str) -> None:
    """Create a bucket, without the template's encryption, policy and lifecycle, which the port does not use."""
    client.create_bucket(Bucket=name)
