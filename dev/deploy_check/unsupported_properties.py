"""What a rehearsed deploy cannot show, because the stand-in for CloudFormation (ministack) does not tell or do it."""

from __future__ import annotations

from typing import Any

UNSUPPORTED_PROPERTIES = frozenset(
    f"{kind} {member}"
    for kind, members in {
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
    for member in members
)
"""It takes these properties, and does nothing with them that could be read back. One that can be is an error."""

UNSUPPORTED_METRIC_MATH = "AWS::CloudWatch::Alarm Metrics (rehearsed with the first of several)"


def replace_metric_math(properties: dict[str, Any]) -> None:
    """ministack knows no metric math: an alarm over several metrics is rehearsed with the first of them."""
    metrics = properties.pop("Metrics", None)
    if metrics is None:
        return
    first = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
    properties |= {**first["Metric"], "Statistic": first["Stat"], "Period": first["Period"]}
