"""The permissions that calls of AWS need, by the Service Authorization Reference."""

from __future__ import annotations

from typing import Any

import pytest

from dev.local.call_recorder.sitecustomize import RequiredPermission, required_permissions

KEY = {"pk": {"S": "N#ns"}, "sk": {"S": "F#x"}}


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        ("s3", "UploadPart", {"Bucket": "b", "Key": "o/1"}, [RequiredPermission("s3:PutObject", "b/o/1")]),
        ("s3", "HeadObject", {"Bucket": "b", "Key": "o/1"}, [RequiredPermission("s3:GetObject", "b/o/1")]),
        (
            "s3",
            "ListParts",
            {"Bucket": "b", "Key": "o/1"},
            [RequiredPermission("s3:ListMultipartUploadParts", "b/o/1")],
        ),
        ("s3", "ListObjectsV2", {"Bucket": "b", "Prefix": "st/"}, [RequiredPermission("s3:ListBucket", "b")]),
        (
            "s3",
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "st/1"}, {"Key": "o/2"}]}},
            [RequiredPermission("s3:DeleteObject", "b/st/1"), RequiredPermission("s3:DeleteObject", "b/o/2")],
        ),
        (
            "dynamodb",
            "GetItem",
            {"TableName": "t", "Key": KEY},
            [RequiredPermission("dynamodb:GetItem", "t", ("N#ns",))],
        ),
        (
            "dynamodb",
            "PutItem",
            {"TableName": "t", "Item": KEY},
            [RequiredPermission("dynamodb:PutItem", "t", ("N#ns",))],
        ),
        (
            "dynamodb",
            "Query",
            {
                "TableName": "t",
                "IndexName": "due_tasks",
                "KeyConditionExpression": "#shard = :shard AND #due_at <= :now",
                "ExpressionAttributeValues": {":shard": {"S": "3"}, ":now": {"N": "1"}},
            },
            [RequiredPermission("dynamodb:Query", "t/index/due_tasks", ("3",))],
        ),
        (
            "dynamodb",
            "TransactWriteItems",
            {
                "TransactItems": [
                    {"Put": {"TableName": "t", "Item": KEY}},
                    {"ConditionCheck": {"TableName": "u", "Key": KEY}},
                ]
            },
            [
                RequiredPermission("dynamodb:PutItem", "t", ("N#ns",)),
                RequiredPermission("dynamodb:ConditionCheckItem", "u", ("N#ns",)),
            ],
        ),
        (
            "dynamodb",
            "BatchWriteItem",
            {"RequestItems": {"t": [{"DeleteRequest": {"Key": KEY}}, {"PutRequest": {"Item": KEY}}]}},
            [RequiredPermission("dynamodb:BatchWriteItem", "t", ("N#ns", "N#ns"))],
        ),
        ("kms", "Sign", {"KeyId": "k"}, [RequiredPermission("kms:Sign", "k")]),
        ("lambda", "Invoke", {"FunctionName": "f"}, [RequiredPermission("lambda:InvokeFunction", "f")]),
        (
            "events",
            "PutEvents",
            {"Entries": [{"EventBusName": "b"}] * 2},
            [RequiredPermission("events:PutEvents", "b")],
        ),
    ],
)
def test_required_permissions_of_call(
    service: str, operation: str, params: dict[str, Any], expected: list[RequiredPermission]
) -> None:
    """A call needs an action on a resource, for the partition keys of its items."""
    assert list(required_permissions(service, operation, params)) == expected


@pytest.mark.parametrize(("service", "operation"), [("s3", "GetObjectTorrent"), ("dynamodb", "PartiQL"), ("sqs", "X")])
def test_required_permissions_unknown_operation_raises(service: str, operation: str) -> None:
    """An operation that is not listed raises an error, so that it does not count as granted."""
    with pytest.raises(LookupError):
        list(required_permissions(service, operation, {"Bucket": "b", "Key": "k"}))


def test_resource_names_become_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that an environment variable has is replaced by the variable, the same in every stack."""
    monkeypatch.setenv("FERRY_BUCKET", "some-bucket")
    assert list(required_permissions("s3", "GetObject", {"Bucket": "some-bucket", "Key": "o/1"})) == [
        RequiredPermission("s3:GetObject", "$FERRY_BUCKET/o/1")
    ]
