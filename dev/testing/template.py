"""Tables and buckets for tests, as template.yaml describes them."""

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
    """The properties of a resource, intrinsic functions in their long form."""
    found: dict[str, Any] = _resources()[logical_id]["Properties"]
    return deepcopy(found)


@cache
def _resources() -> dict[str, Any]:
    """Return the template's resources. Parsing takes 40 ms, and every table that a test creates asks for them."""
    found: dict[str, Any] = load_template(TEMPLATE)["Resources"]
    return found


def create_table(client: DynamoDBClient, logical_id: str, name: str) -> None:
    """Make the table under a name of the test's own, and wait until it is there."""
    wanted = resource_properties(logical_id)
    client.create_table(TableName=name, **{key: wanted[key] for key in TABLE_PROPERTIES if key in wanted})
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    if "TimeToLiveSpecification" in wanted:
        client.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted["TimeToLiveSpecification"])


def create_bucket(client: S3Client, name: str) -> None:
    """Make a bucket. What the template adds (encryption, policy, lifecycle) is AWS's business, not the port's."""
    client.create_bucket(Bucket=name)
