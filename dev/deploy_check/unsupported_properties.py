"""Properties that the CloudFormation emulator (ministack) does not apply or does not return."""

from __future__ import annotations

from typing import Any

UNSUPPORTED_PROPERTIES = frozenset(
    f"{resource_type} {property_name}"
    for resource_type, property_names in {
        "AWS::ApiGatewayV2::Stage": ("AccessLogSettings", "DefaultRouteSettings", "RouteSettings", "Tags"),
        "AWS::DynamoDB::Table": ("PointInTimeRecoverySpecification", "SSESpecification", "TimeToLiveSpecification"),
        "AWS::IAM::Role": ("ManagedPolicyArns", "Tags"),
        "AWS::Lambda::Alias": ("FunctionVersion",),
        "AWS::Lambda::Function": ("Code", "SnapStart", "Tags"),
        "AWS::Lambda::LayerVersion": ("Content", "LayerName"),
        "AWS::S3::Bucket": (
            *("BucketEncryption", "CorsConfiguration", "LifecycleConfiguration", "OwnershipControls"),
            "PublicAccessBlockConfiguration",
        ),
        "AWS::SQS::Queue": ("SqsManagedSseEnabled",),
    }.items()
    for property_name in property_names
)
"""Properties that the emulator accepts and does not return. The deploy check fails if it does return one."""

UNSUPPORTED_METRIC_MATH = "AWS::CloudWatch::Alarm Metrics (checked with the first metric only)"


def replace_metric_math(properties: dict[str, Any]) -> None:
    """Replace an alarm's metric math, which ministack does not support, by the first of its metrics."""
    metrics = properties.pop("Metrics", None)
    if metrics is None:
        return
    first = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
    properties |= {**first["Metric"], "Statistic": first["Stat"], "Period": first["Period"]}
