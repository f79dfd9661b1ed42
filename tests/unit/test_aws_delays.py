"""The model of AWS's delays: its numbers, and the operations that it counts."""

from __future__ import annotations

import pytest

from dev.network import aws


def test_model_without_numbers_has_documented_delays() -> None:
    """`aws` alone is 25 ms and 90 MB/s before S3, and 4 ms before DynamoDB."""
    delays = aws.parse("aws")
    s3, dynamodb = delays.network("s3"), delays.network("dynamodb")
    assert (s3.round_trip_ms, s3.connection_bytes_per_second) == (25, 90_000_000)
    assert (dynamodb.round_trip_ms, dynamodb.connection_bytes_per_second) == (4, None)
    assert delays.describe() == ("Network model aws: 25 ms and 90 MB/s a connection before S3, 4 ms before DynamoDB.")


def test_model_with_numbers_reads_its_own_text() -> None:
    """Each number may be given, and the text of a model yields the same model."""
    delays = aws.parse("aws,s3_ms=40,dynamodb_ms=6.5,s3_mb_per_second=50")
    assert (delays.s3_ms, delays.dynamodb_ms, delays.s3_mb_per_second) == (40, 6.5, 50)
    assert aws.parse(delays.to_text()) == delays


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("azure", "there is no network model 'azure': give aws"),
        ("aws,s4_ms=1", "has no number 's4_ms': it has s3_ms"),
        ("aws,s3_ms=fast", "s3_ms=fast has no number"),
        ("aws,s3_ms=-1", "out of range"),
        ("aws,dynamodb_ms=nan", "out of range"),
        ("aws,s3_mb_per_second=0", "out of range"),
    ],
)
def test_model_with_wrong_text_is_rejected(text: str, message: str) -> None:
    """The error says what is wrong and what to give."""
    with pytest.raises(aws.InvalidNetworkError, match=message):
        aws.parse(text)


@pytest.mark.parametrize(
    ("line", "header", "operation"),
    [
        ("PUT /files/ns/1", "", "PutObject"),
        ("PUT /files/ns/1", "x-amz-copy-source: files/ns/2\r\n", "CopyObject"),
        ("PUT /files/ns/1?partNumber=2&uploadId=u", "", "UploadPart"),
        ("PUT /files/ns/1?partNumber=2&uploadId=u", "X-Amz-Copy-Source: files/ns/2\r\n", "UploadPartCopy"),
        ("POST /files/ns/1?uploads", "", "CreateMultipartUpload"),
        ("POST /files/ns/1?uploadId=u", "", "CompleteMultipartUpload"),
        ("DELETE /files/ns/1?uploadId=u", "", "AbortMultipartUpload"),
        ("GET /files/ns/1?uploadId=u", "", "ListParts"),
        ("GET /files/ns/1", "", "GetObject"),
        ("HEAD /files/ns/1", "", "HeadObject"),
        ("DELETE /files/ns/1", "", "DeleteObject"),
        ("GET /files?list-type=2", "", "ListObjects"),
        ("GET /files?uploads", "", "ListMultipartUploads"),
        ("POST /files?delete", "", "DeleteObjects"),
        ("POST /", "X-Amz-Target: DynamoDB_20120810.TransactWriteItems\r\n", "TransactWriteItems"),
    ],
)
def test_operation_of_request_is_named_as_aws_does(line: str, header: str, operation: str) -> None:
    """The request line, the operation's header and a copy's source tell operations apart."""
    head = f"{line} HTTP/1.1\r\nHost: 127.0.0.1\r\n{header}\r\n".encode()
    assert aws.operation_of(head) == operation


def test_operation_of_a_body_is_none() -> None:
    """A piece of a body is no request."""
    assert aws.operation_of(b"\0\1PUT / HTTP/1.1\r\n") is None
    assert aws.operation_of(b"") is None
