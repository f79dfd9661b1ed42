"""A namespace with limits, as its clients see it."""

from __future__ import annotations

import pytest

from admin.quota_store import DynamoQuotaStore
from ferry import wiring
from tests.integration.stack import WRITE, Stack


@pytest.fixture
def limited_token(stack: Stack) -> str:
    """A token of a namespace of its own that may have ten bytes, one upload, and no file over eight bytes."""
    token = stack.token("limited_token", WRITE)
    quotas = DynamoQuotaStore(wiring.metadata_table())
    quotas.set_limits("limited_token", max_bytes=10, max_uploads=1, max_file_bytes=8)
    return token


def test_start_over_quota_returns_403(stack: Stack, limited_token: str) -> None:
    """The body has what a program needs; others are not concerned, and room that comes back is there at once."""
    start = "POST /upload/start"
    refused = stack.post_json(start, {"filename": "large", "size": 9}, token=limited_token)
    assert (refused.status, refused.code) == (403, "quota_exceeded")
    assert refused.json["quota"] == {"which": "file", "limit": 8, "used": 0, "requested": 9}
    assert "www-authenticate" not in refused.headers
    assert stack.post_json(start, {"filename": "a", "size": 6}, token=limited_token).status == 201
    refused = stack.post_json(start, {"filename": "b", "size": 6}, token=limited_token)
    assert refused.json["quota"] == {"which": "bytes", "limit": 10, "used": 6, "requested": 6}
    refused = stack.post_json(start, {"filename": "b", "size": 1}, token=limited_token)
    assert refused.json["quota"] == {"which": "uploads", "limit": 1, "used": 1, "requested": 1}
    assert stack.post_json(start, {"filename": "a", "size": 6}, token=limited_token).status == 200
    assert stack.post_json(start, {"filename": "b", "size": 6}).status == 201
    assert stack.request("DELETE /upload/{filename}", filename="a", token=limited_token).status == 204
    assert stack.post_json(start, {"filename": "b", "size": 6}, token=limited_token).status == 201
