"""The check of signatures on requests to the emulated AWS services, against botocore's own signer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.local.sigv4 import SignatureVerifier, is_local_host
from tests.support.signed_scope import signed_scope as signed_request_scope

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
BODY = b'{"TableName": "t"}'
COLLECTED_AT = datetime.now(UTC)
"""When the requests in this module's parameters are signed: their age may not be why they are rejected."""

TARGET = {"x-amz-target": "DynamoDB_20120810.GetItem", "content-type": "application/x-amz-json-1.0"}


def signed_scope(url: str = "http://127.0.0.1:4566/", *, secret: str = "secret", service: str = "dynamodb") -> Any:
    """Return the scope of a request with `BODY`."""
    return signed_request_scope(service, "POST", url, BODY, TARGET, key="key", secret=secret)


def accepts(scope: Any, body: bytes = BODY, now: datetime | None = None) -> bool:
    return SignatureVerifier(KEYS, {"dynamodb"}).accepts(scope, body, now)


def with_header(scope: dict[str, Any], name: bytes, value: bytes | None) -> dict[str, Any]:
    """Return the scope with a header replaced, added or (None) removed."""
    kept = [(key, old) for key, old in scope["headers"] if key != name]
    return {**scope, "headers": kept if value is None else [*kept, (name, value)]}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4566/",
        "http://localhost:4566/",
        "http://host.docker.internal:4566/",
        "http://127.0.0.1:4566/2015-03-31/functions/f%C3%A4:1/invocations?b=2&a=%20x&c=",
    ],
)
def test_request_of_botocore_is_accepted(url: str) -> None:
    """A request that botocore signed for a name of this machine is accepted."""
    assert accepts(signed_scope(url))


@pytest.mark.parametrize(
    "scope",
    [
        with_header(signed_scope(), b"authorization", None),
        with_header(signed_scope(), b"authorization", b"AWS4"),
        signed_scope(secret="other"),
        signed_scope(service="kms"),
        signed_scope("http://page.example:4566/"),
        with_header(signed_scope(), b"host", b"localhost:4566"),
        with_header(signed_scope(), b"x-amz-target", b"DynamoDB_20120810.DeleteTable"),
        with_header(signed_scope(), b"x-amz-security-token", b"unsigned"),
        with_header(signed_scope(), b"x-amz-date", None),
        with_header(signed_scope(), b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),
        {**signed_scope(), "method": "PUT"},
        {**signed_scope(), "raw_path": b"/other"},
        {**signed_scope(), "query_string": b"a=b"},
        {**signed_scope(), "headers": [*signed_scope()["headers"], (b"host", b"127.0.0.1:4566")]},
    ],
)
def test_other_request_is_rejected(scope: dict[str, Any]) -> None:
    """Without a signature, with another key, service, host, header, method or path, a request is rejected."""
    assert not accepts(scope, now=COLLECTED_AT)


def test_other_body_is_rejected() -> None:
    """A signature holds for one body."""
    assert not accepts(signed_scope(), b"{}")


@pytest.mark.parametrize(("minutes", "accepted"), [(-4, True), (4, True), (-6, False), (6, False)])
def test_signature_holds_for_five_minutes(minutes: int, *, accepted: bool) -> None:
    """A signature that is more than five minutes old, or from the future, is rejected."""
    assert accepts(signed_scope(), now=datetime.now(UTC) + timedelta(minutes=minutes)) is accepted


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1:80", True),
        ("LOCALHOST", True),
        ("host.docker.internal:1", True),
        ("", False),
        ("127.0.0.1.page.example", False),
        ("page.example:80", False),
        ("localhost:80@page.example", False),
        ("192.168.0.1", False),
    ],
)
def test_host_of_this_machine_is_local(host: str, *, local: bool) -> None:
    """Only names of this machine are local, with any port or none."""
    assert is_local_host(host) is local
