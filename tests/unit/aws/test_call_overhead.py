"""What the AWS clients do for each call beside the call itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.useragent import UserAgentString

from ferry.aws.session import AwsSession, parse_timestamp

MOMENT = datetime(2026, 11, 26, 21, 40, 5, tzinfo=UTC)


class _StoppedError(Exception):
    """A call that was stopped before it was signed and sent."""


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    for name, value in {"ACCESS_KEY_ID": "testing", "SECRET_ACCESS_KEY": "testing"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return AwsSession({"s3": "http://127.0.0.1:1", "dynamodb": "http://127.0.0.1:1"})


@pytest.mark.parametrize(
    "text", ["Thu, 26 Nov 2026 21:40:05 GMT", "2026-11-26T21:40:05Z", "2026-11-26T21:40:05.000Z", "1795729205"]
)
def test_time_of_response_is_read_in_each_form(text: str) -> None:
    """HTTP dates, RFC 3339 and epoch seconds are the same time in UTC."""
    assert parse_timestamp(text) == MOMENT


@pytest.mark.parametrize("value", [1_795_729_205, 1_795_729_205.0, "Thu 26 Nov 2026 21:40:05 UTC"])
def test_time_in_another_form_is_left_to_botocore(value: Any) -> None:
    """Numbers and unusual texts are read as botocore reads them."""
    assert parse_timestamp(value) == MOMENT


def test_text_that_is_no_time_raises_value_error() -> None:
    """A wrong time is an error, as in botocore."""
    with pytest.raises(ValueError, match="Invalid timestamp"):
        parse_timestamp("not a GMT")


def test_user_agent_is_not_built_for_each_call(session: AwsSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every call sends the same header, which the session has built once."""
    sent: list[str] = []

    def note_and_stop(request: Any, **_: object) -> None:
        sent.append(request.headers["User-Agent"])
        raise _StoppedError

    client = session.dynamodb
    client.meta.events.register("before-sign.dynamodb", note_and_stop)
    monkeypatch.setattr(UserAgentString, "_build_sdk_metadata", lambda _: pytest.fail("built for this call"))
    for _ in range(2):
        with pytest.raises(_StoppedError):
            client.get_item(TableName="table", Key={"pk": {"S": "a"}})
    assert sent[0] == sent[1]
    assert sent[0]


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize("endpoints", [{}, {"s3": "http://127.0.0.1:1"}], ids=["AWS", "emulator"])
@pytest.mark.parametrize("operation", ["put_object", "upload_part"])
def test_s3_body_is_not_hashed_for_signature(operation: str, endpoints: dict[str, str]) -> None:
    """A chunk and a part are sent with a signed CRC32C, and their bytes are not hashed a second time for the
    signature. No call waits for `100 Continue`.
    """
    sent: list[Any] = []

    def note_and_stop(request: Any, **_: object) -> None:
        sent.append(request)
        raise _StoppedError

    client = AwsSession(endpoints).s3
    client.meta.events.register("before-send.s3", note_and_stop)
    part = {"UploadId": "mp", "PartNumber": 1} if operation == "upload_part" else {}
    with pytest.raises(_StoppedError):
        getattr(client, operation)(Bucket="bucket", Key="k", Body=b"bytes", ChecksumCRC32C="3q2+7w==", **part)
    [request] = sent
    headers = request.headers
    assert headers["X-Amz-Content-SHA256"] == b"UNSIGNED-PAYLOAD"
    assert b"x-amz-checksum-crc32c" in headers["Authorization"].partition(b"SignedHeaders=")[2].partition(b",")[0]
    assert "Expect" not in headers
    assert request.body == b"bytes"
