"""Read deployed resources through each service's API and return them as CloudFormation properties."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError

Properties = dict[str, Any]


def _client(service: str) -> Any:
    client: Any = boto3.client(service)  # type: ignore[call-overload]
    return client


def read_properties(resource_type: str, physical_id: str) -> Properties | None:
    """Return a resource's properties as its service reports them; None for a type without a reader."""
    reader = READERS.get(resource_type)
    return reader(physical_id) if reader else None


def _without_none(found: Mapping[str, Any]) -> Properties:
    return {name: value for name, value in found.items() if value is not None}


def _function(name: str) -> Properties:
    found = _client("lambda").get_function_configuration(FunctionName=name)
    return _without_none(
        {
            **{key: found.get(key) for key in ("Runtime", "Handler", "MemorySize", "Timeout", "Role", "Architectures")},
            "Environment": {"Variables": found["Environment"]["Variables"]},
            "Layers": [layer["Arn"] for layer in found.get("Layers", [])],
            "LoggingConfig": found.get("LoggingConfig"),
            "SnapStart": {"ApplyOn": found["SnapStart"]["ApplyOn"]} if "SnapStart" in found else None,
        }
    )


def _alias(arn: str) -> Properties:
    function, name = arn.split(":")[-2:]
    found = _client("lambda").get_alias(FunctionName=function, Name=name)
    return {"Name": found["Name"], "FunctionVersion": found["FunctionVersion"], "FunctionName": function}


def _layer(arn: str) -> Properties:
    found = _client("lambda").get_layer_version_by_arn(Arn=arn)
    return {key: found[key] for key in ("CompatibleRuntimes", "CompatibleArchitectures") if key in found}


def _role(name: str) -> Properties:
    iam = _client("iam")
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    return {
        "AssumeRolePolicyDocument": iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"],
        "Policies": [
            {
                "PolicyName": policy,
                "PolicyDocument": iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"],
            }
            for policy in names
        ],
    }


def _table(name: str) -> Properties:
    dynamodb = _client("dynamodb")
    found = dynamodb.describe_table(TableName=name)["Table"]
    ttl = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    indexes = [
        {key: index[key] for key in ("IndexName", "KeySchema", "Projection")}
        for index in found.get("GlobalSecondaryIndexes", [])
    ]
    return _without_none(
        {
            "BillingMode": found.get("BillingModeSummary", {}).get("BillingMode"),
            "AttributeDefinitions": found["AttributeDefinitions"],
            "KeySchema": found["KeySchema"],
            "GlobalSecondaryIndexes": indexes or None,
            "TimeToLiveSpecification": {
                "AttributeName": ttl.get("AttributeName"),
                "Enabled": ttl["TimeToLiveStatus"] == "ENABLED",
            },
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery == "ENABLED"},
            "DeletionProtectionEnabled": found.get("DeletionProtectionEnabled"),
            "SSESpecification": {"SSEEnabled": found["SSEDescription"]["Status"] == "ENABLED"}
            if "SSEDescription" in found
            else None,
        }
    )


def _bucket(name: str) -> Properties:
    s3 = _client("s3")
    cloudformation_names = {"ExposeHeaders": "ExposedHeaders", "MaxAgeSeconds": "MaxAge"}
    cors = _get_or_empty(s3.get_bucket_cors, Bucket=name).get("CORSRules")
    rules = _get_or_empty(s3.get_bucket_lifecycle_configuration, Bucket=name).get("Rules")
    return _without_none(
        {
            "CorsConfiguration": cors
            and {
                "CorsRules": [
                    {cloudformation_names.get(key, key): value for key, value in rule.items()} for rule in cors
                ]
            },
            "PublicAccessBlockConfiguration": _get_or_empty(s3.get_public_access_block, Bucket=name).get(
                "PublicAccessBlockConfiguration"
            ),
            "LifecycleConfiguration": rules and {"Rules": [_lifecycle(rule) for rule in rules]},
        }
    )


def _get_or_empty(call: Callable[..., Any], **arguments: str) -> Any:
    """Return the response; an empty one if the service reports that the configuration does not exist."""
    try:
        return call(**arguments)
    except ClientError:
        return {}


def _lifecycle(rule: Any) -> Properties:
    return _without_none(
        {
            "Id": rule["ID"],
            "Status": rule["Status"],
            "Prefix": rule.get("Prefix", rule.get("Filter", {}).get("Prefix")),
            "AbortIncompleteMultipartUpload": rule.get("AbortIncompleteMultipartUpload"),
            "ExpirationInDays": rule.get("Expiration", {}).get("Days"),
        }
    )


def _bucket_policy(bucket: str) -> Properties:
    policy = _get_or_empty(_client("s3").get_bucket_policy, Bucket=bucket).get("Policy")
    return _without_none({"Bucket": bucket, "PolicyDocument": policy and json.loads(policy)})


def _key(key: str) -> Properties:
    kms = _client("kms")
    found = kms.describe_key(KeyId=key)["KeyMetadata"]
    policy = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    return {**{name: found[name] for name in ("KeySpec", "KeyUsage", "Description")}, "KeyPolicy": policy}


def _queue(url: str) -> Properties:
    found = _client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return _without_none(
        {
            "MessageRetentionPeriod": int(found["MessageRetentionPeriod"]),
            "SqsManagedSseEnabled": {"true": True, "false": False}.get(found.get("SqsManagedSseEnabled", "")),
        }
    )


def _log_group(name: str) -> Properties:
    groups = _client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    (found,) = [group for group in groups if group["logGroupName"] == name]
    return {"LogGroupName": found["logGroupName"], "RetentionInDays": found.get("retentionInDays")}


def _schedule(name: str) -> Properties:
    found = _client("scheduler").get_schedule(Name=name.rpartition("/")[2])
    names = ("ScheduleExpression", "FlexibleTimeWindow", "Target", "Name")
    return {key: found[key] for key in names if key in found}


def _stage(physical_id: str) -> Properties:
    # The emulator's id: those of the API and of the stage, with a slash between them.
    api_id, _, name = physical_id.partition("/")
    found = {"ApiId": api_id, **_client("apigatewayv2").get_stage(ApiId=api_id, StageName=name)}
    names = ("ApiId", "StageName", "AutoDeploy", "DefaultRouteSettings", "RouteSettings", "AccessLogSettings")
    return {key: found[key] for key in names if found.get(key)}


def _alarm(name: str) -> Properties:
    (found,) = _client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return {
        key: value for key, value in found.items() if not key.startswith(("State", "AlarmArn", "AlarmConfiguration"))
    }


def _dashboard(name: str) -> Properties:
    return {
        "DashboardName": name,
        "DashboardBody": json.loads(_client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]),
    }


READERS: Mapping[str, Callable[[str], Properties]] = {
    "AWS::ApiGatewayV2::Stage": _stage,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::DynamoDB::Table": _table,
    "AWS::IAM::Role": _role,
    "AWS::KMS::Key": _key,
    "AWS::Lambda::Alias": _alias,
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::LayerVersion": _layer,
    "AWS::Logs::LogGroup": _log_group,
    "AWS::S3::Bucket": _bucket,
    "AWS::S3::BucketPolicy": _bucket_policy,
    "AWS::SQS::Queue": _queue,
    "AWS::Scheduler::Schedule": _schedule,
}
"""Functions that return a resource's properties for its physical id, by resource type."""
