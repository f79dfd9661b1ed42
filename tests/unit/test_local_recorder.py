"""Which permission a call needs, by AWS's Service Authorization Reference."""

from __future__ import annotations

from typing import Any

import pytest

from local.recorder.sitecustomize import Need, needs

KEY = {"pk": {"S": "N#ns"}, "sk": {"S": "F#x"}}


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        ("s3", "UploadPart", {"Bucket": "b", "Key": "o/1"}, [Need("s3:PutObject", "b/o/1")]),
        ("s3", "HeadObject", {"Bucket": "b", "Key": "o/1"}, [Need("s3:GetObject", "b/o/1")]),
        ("s3", "ListParts", {"Bucket": "b", "Key": "o/1"}, [Need("s3:ListMultipartUploadParts", "b/o/1")]),
        ("s3", "ListObjectsV2", {"Bucket": "b", "Prefix": "st/"}, [Need("s3:ListBucket", "b")]),
        (
            "s3",
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "st/1"}, {"Key": "o/2"}]}},
            [Need("s3:DeleteObject", "b/st/1"), Need("s3:DeleteObject", "b/o/2")],
        ),
        ("dynamodb", "GetItem", {"TableName": "t", "Key": KEY}, [Need("dynamodb:GetItem", "t", ("N#ns",))]),
        ("dynamodb", "PutItem", {"TableName": "t", "Item": KEY}, [Need("dynamodb:PutItem", "t", ("N#ns",))]),
        (
            "dynamodb",
            "Query",
            {
                "TableName": "t",
                "IndexName": "due",
                "KeyConditionExpression": "#shard = :shard AND #due <= :now",
                "ExpressionAttributeValues": {":shard": {"S": "3"}, ":now": {"N": "1"}},
            },
            [Need("dynamodb:Query", "t/index/due", ("3",))],
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
            [Need("dynamodb:PutItem", "t", ("N#ns",)), Need("dynamodb:ConditionCheckItem", "u", ("N#ns",))],
        ),
        (
            "dynamodb",
            "BatchWriteItem",
            {"RequestItems": {"t": [{"DeleteRequest": {"Key": KEY}}, {"PutRequest": {"Item": KEY}}]}},
            [Need("dynamodb:BatchWriteItem", "t", ("N#ns", "N#ns"))],
        ),
        ("kms", "Sign", {"KeyId": "k"}, [Need("kms:Sign", "k")]),
        ("lambda", "Invoke", {"FunctionName": "f"}, [Need("lambda:InvokeFunction", "f")]),
        ("events", "PutEvents", {"Entries": [{"EventBusName": "b"}] * 2}, [Need("events:PutEvents", "b")]),
    ],
)
def test_what_a_call_needs(service: str, operation: str, params: dict[str, Any], expected: list[Need]) -> None:
    """The action, the resource, and the partition keys of the items."""
    assert list(needs(service, operation, params)) == expected


@pytest.mark.parametrize(("service", "operation"), [("s3", "GetObjectTorrent"), ("dynamodb", "PartiQL"), ("sqs", "X")])
def test_a_call_that_nobody_thought_of_fails(service: str, operation: str) -> None:
    """Rather than passing for one that is granted."""
    with pytest.raises(LookupError):
        list(needs(service, operation, {"Bucket": "b", "Key": "k"}))


def test_names_are_told_by_the_variables_that_hold_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the same call looks the same in every stack."""
    monkeypatch.setenv("FERRY_BUCKET", "some-bucket")
    assert list(needs("s3", "GetObject", {"Bucket": "some-bucket", "Key": "o/1"})) == [
        Need("s3:GetObject", "$FERRY_BUCKET/o/1")
    ]
