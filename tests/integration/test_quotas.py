"""The quota of a namespace, as its clients see it."""

from __future__ import annotations

import pytest

from admin.quota_store import DynamoQuotaStore
from ferry import wiring
from tests.integration.stack import WRITE, Stack
from tests.support.protocol_client import draft_client, tus_client


@pytest.fixture
def limited_token(stack: Stack) -> str:
    """A token of a namespace that may have ten bytes, one upload and files of up to eight bytes."""
    token = stack.token("limited_token", WRITE)
    quotas = DynamoQuotaStore(wiring.metadata_table())
    quotas.set_limits("limited_token", max_bytes=10, max_uploads=1, max_file_bytes=8)
    return token


def test_start_over_quota_returns_403(stack: Stack, limited_token: str) -> None:
    """The 403 has limit, usage and request; other namespaces are unaffected, and freed space counts at once."""
    start = "POST /upload/start"
    rejected = stack.post_json(start, {"filename": "large", "size": 9}, token=limited_token)
    assert (rejected.status, rejected.code) == (403, "quota_exceeded")
    assert {name: rejected.json[name] for name in ("quota", "limit", "used", "requested")} == {
        "quota": "file",
        "limit": 8,
        "used": 0,
        "requested": 9,
    }
    assert "www-authenticate" not in rejected.headers
    assert stack.post_json(start, {"filename": "a", "size": 6}, token=limited_token).status == 201
    rejected = stack.post_json(start, {"filename": "b", "size": 6}, token=limited_token)
    assert {name: rejected.json[name] for name in ("quota", "limit", "used", "requested")} == {
        "quota": "bytes",
        "limit": 10,
        "used": 6,
        "requested": 6,
    }
    rejected = stack.post_json(start, {"filename": "b", "size": 1}, token=limited_token)
    assert {name: rejected.json[name] for name in ("quota", "limit", "used", "requested")} == {
        "quota": "uploads",
        "limit": 1,
        "used": 1,
        "requested": 1,
    }
    assert stack.post_json(start, {"filename": "a", "size": 6}, token=limited_token).status == 200
    assert stack.post_json(start, {"filename": "b", "size": 6}).status == 201
    assert stack.request("DELETE /upload/{filename+}", filename="a", token=limited_token).status == 204
    assert stack.post_json(start, {"filename": "b", "size": 6}, token=limited_token).status == 201


def test_creation_whose_bytes_exceed_the_quota_leaves_no_upload(stack: Stack) -> None:
    """Of unknown length, with bytes over the quota, a creation is rejected, and uses up no upload of the quota."""
    ns = "rejected_creation"
    DynamoQuotaStore(wiring.metadata_table()).set_limits(ns, max_bytes=8, max_uploads=1, max_file_bytes=8)
    for client, headers in (
        (tus_client(stack), {"upload_defer_length": "1"}),
        (draft_client(stack), {"upload_complete": "?0"}),
    ):
        client.options["token"] = stack.token(ns, WRITE)
        rejected = client.create(b"123456789", headers=headers)
        assert (rejected.status, rejected.code) == (403, "quota_exceeded")
    assert client.create(b"1", headers=headers).status == 201
