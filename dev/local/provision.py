"""Create the keys, tables and buckets of the template in the local S3, DynamoDB and KMS."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dev.local.errors import LocalError
from dev.local.stack import REGION, Stack, physical_name
from dev.local.state import START_ANEW

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef

T = TypeVar("T")

_WRITABLE_TIMEOUT_SECONDS = 20.0
_TABLE_PROPERTIES = (
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
    "ProvisionedThroughput",
)


@dataclass(frozen=True, slots=True)
class Backends:
    """The addresses of the services, and the access keys that they accept."""

    s3_url: str
    """S3."""
    dynamodb_url: str
    """DynamoDB."""
    kms_url: str
    """KMS."""
    access_key: str
    """AWS_ACCESS_KEY_ID."""
    secret_key: str
    """AWS_SECRET_ACCESS_KEY."""

    def kms_client(self) -> KMSClient:
        """Return a client of KMS."""
        return boto3.client("kms", endpoint_url=self.kms_url, **self._client_options())

    def dynamodb_client(self) -> DynamoDBClient:
        """Return a client of DynamoDB."""
        return boto3.client("dynamodb", endpoint_url=self.dynamodb_url, **self._client_options())

    def s3_client(self) -> S3Client:
        """Return a client of S3."""
        return boto3.client("s3", endpoint_url=self.s3_url, **self._client_options())

    def no_retry_s3_client(self) -> S3Client:
        """Return a client of S3 that gives up after one second, without a retry."""
        config = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1)
        return boto3.client("s3", endpoint_url=self.s3_url, **{**self._client_options(), "config": config})

    def _client_options(self) -> dict[str, Any]:
        return {
            "region_name": REGION,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "config": Config(retries={"mode": "standard", "total_max_attempts": 5}, s3={"addressing_style": "path"}),
        }


def provision(
    backends: Backends, stack: Stack, known_key_ids: Mapping[str, str], *, storage_is_low: bool = False
) -> dict[str, str]:
    """Create the keys, tables and buckets that are missing, and return the ids of the keys by logical id.

    Args:
        backends: the running services.
        stack: what to create.
        known_key_ids: ids of the KMS keys of an earlier run, by logical id.
        storage_is_low: whether the disk is almost full: existing buckets are then left as they are.

    Raises:
        LocalError: a table exists with another key schema than the template's, or a service does not respond.
    """
    try:
        keys = _create_keys(backends.kms_client(), stack, known_key_ids)
        _create_tables(backends.dynamodb_client(), stack)
        _create_buckets(backends.s3_client(), backends.no_retry_s3_client(), stack, storage_is_low=storage_is_low)
    except (BotoCoreError, ClientError) as error:
        raise LocalError(f"S3, DynamoDB and KMS could not be set up ({error}): see the logs, start again") from error
    return keys


def _create_keys(kms: KMSClient, stack: Stack, known_key_ids: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for logical, properties in stack.kms_keys.items():
        existing = (
            _describe_or_none(kms.describe_key, "NotFoundException", KeyId=known_key_ids[logical])
            if logical in known_key_ids
            else None
        )
        if existing is not None:
            found[logical] = known_key_ids[logical]
        else:
            found[logical] = kms.create_key(**properties)["KeyMetadata"]["KeyId"]
    return found


def _create_tables(dynamodb: DynamoDBClient, stack: Stack) -> None:
    for logical, properties in stack.tables.items():
        name = physical_name(logical)
        existing = _describe_or_none(dynamodb.describe_table, "ResourceNotFoundException", TableName=name)
        if existing is None:
            definition = {key: properties[key] for key in _TABLE_PROPERTIES if key in properties}
            dynamodb.create_table(TableName=name, **definition)
            dynamodb.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        elif _key_schemas(existing["Table"]) != _key_schemas(properties):
            raise LocalError(
                f"table {name} was created from another template: start anew with {START_ANEW}, which deletes all files"
            )
        ttl = properties.get("TimeToLiveSpecification")
        if existing is None and ttl:
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)


def _key_schemas(table: Mapping[str, Any]) -> object:
    """Return the key schemas of a table and of its indexes, in a comparable form."""

    def keys(schema: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
        return [(key["AttributeName"], key["KeyType"]) for key in schema]

    indexes = [*(table.get("GlobalSecondaryIndexes") or ()), *(table.get("LocalSecondaryIndexes") or ())]
    return keys(table["KeySchema"]), sorted((index["IndexName"], keys(index["KeySchema"])) for index in indexes)


def wait_until_writable(backends: Backends, stack: Stack) -> None:
    """Wait until every bucket stores objects, but for no longer than 20 seconds each."""
    for logical in stack.buckets:
        with contextlib.suppress(BotoCoreError, ClientError):
            _wait_until_writable(backends.no_retry_s3_client(), physical_name(logical))


def _create_buckets(s3: S3Client, no_retry_s3: S3Client, stack: Stack, *, storage_is_low: bool) -> None:
    for logical, properties in stack.buckets.items():
        name = physical_name(logical)
        if _describe_or_none(s3.head_bucket, "404", Bucket=name) is None:
            s3.create_bucket(Bucket=name)
        elif storage_is_low:
            continue
        rules = properties.get("CorsConfiguration", {}).get("CorsRules")
        if rules:
            s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": [_to_s3_cors_rule(rule) for rule in rules]})
        _wait_until_writable(no_retry_s3, name)


def _to_s3_cors_rule(rule: Mapping[str, Any]) -> CORSRuleTypeDef:
    """Return a CORS rule of CloudFormation in the form of S3's API."""
    renamed = {"ExposedHeaders": "ExposeHeaders", "MaxAge": "MaxAgeSeconds", "Id": "ID"}
    return cast("CORSRuleTypeDef", {renamed.get(key, key): value for key, value in rule.items()})


def _wait_until_writable(s3: S3Client, bucket: str) -> None:
    """Wait until SeaweedFS stores objects: its gateway responds earlier.

    After a kill, a request that comes too early waits up to 20 seconds; one that is sent a second later does not.
    """
    end = time.monotonic() + _WRITABLE_TIMEOUT_SECONDS
    while True:
        try:
            s3.put_object(Bucket=bucket, Key="probe", Body=b"x")
            s3.delete_object(Bucket=bucket, Key="probe")
            return
        except (BotoCoreError, ClientError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _describe_or_none(describe: Callable[..., T], not_found_code: str, **arguments: str) -> T | None:
    """Return the result of a describing call, or None when the thing does not exist."""
    try:
        return describe(**arguments)
    except ClientError as error:
        if error.response["Error"]["Code"] == not_found_code:
            return None
        raise
