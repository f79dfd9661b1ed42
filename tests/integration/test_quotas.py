"""A namespace with limits, as its clients see it."""

from __future__ import annotations

import pytest

from ferry import wiring
from ferry.aws.quotas import DynamoQuotas
from tests.integration.stack import WRITE, Stack


@pytest.fixture
def limited(stack: Stack) -> str:
    """A token of a namespace of its own that may have ten bytes, one upload, and no file over eight bytes."""
    token = stack.token("limited", WRITE)
    quotas = DynamoQuotas(wiring.session().dynamodb, wiring.settings().ledger_table)
    quotas.limit("limited", max_bytes=10, max_uploads=1, max_file=8)
    return token


def test_a_start_beyond_a_limit_is_403_and_says_which(stack: Stack, limited: str) -> None:
    """The body has what a program needs; others are not concerned, and room that comes back is there at once."""
    start = "POST /upload/start"
    refused = stack.post(start, {"filename": "large", "size": 9}, token=limited)
    assert (refused.status, refused.code) == (403, "quota_exceeded")
    assert refused.json["quota"] == {"which": "file", "limit": 8, "used": 0, "requested": 9}
    assert "www-authenticate" not in refused.headers
    assert stack.post(start, {"filename": "a", "size": 6}, token=limited).status == 201
    refused = stack.post(start, {"filename": "b", "size": 6}, token=limited)
    assert refused.json["quota"] == {"which": "bytes", "limit": 10, "used": 6, "requested": 6}
    refused = stack.post(start, {"filename": "b", "size": 1}, token=limited)
    assert refused.json["quota"] == {"which": "uploads", "limit": 1, "used": 1, "requested": 1}
    assert stack.post(start, {"filename": "a", "size": 6}, token=limited).status == 200
    assert stack.post(start, {"filename": "b", "size": 6}).status == 201
    assert stack.call("DELETE /upload/{filename}", filename="a", token=limited).status == 204
    assert stack.post(start, {"filename": "b", "size": 6}, token=limited).status == 201
