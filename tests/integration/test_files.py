"""Finished files: the list, and deletion."""

from __future__ import annotations

from admin.quota_store import DynamoQuotaStore
from ferry import wiring
from tests.integration.stack import Stack


def test_list_has_files_with_prefix(stack: Stack) -> None:
    """The list has the files whose names begin with the prefix."""
    for name in ("listed/a", "listed/b", "lister"):
        stack.upload(name, b"x")
    found = stack.request("GET /files", query={"prefix": "listed/"}).json["files"]
    assert [file["filename"] for file in found] == ["listed/a", "listed/b"]


def test_deleted_file_leaves_usage(stack: Stack) -> None:
    """The bytes of a deleted file no longer count against the quota."""
    quotas, token = DynamoQuotaStore(wiring.metadata_table()), stack.token("counted")
    quotas.set_limits("counted", max_bytes=10, max_uploads=None, max_file_bytes=None)
    start = {"filename": "a", "size": 0}
    assert stack.post_json("POST /upload/start", start, token=token).status == 201
    assert stack.post_json("POST /upload/complete", {"filename": "a"}, token=token).status == 200
    quotas.set_limits("counted", max_bytes=10, max_uploads=1, max_file_bytes=None)
    assert stack.request("DELETE /files/{filename+}", filename="a", token=token).status == 204
    quota = quotas.get_quota("counted")
    assert quota is not None
    assert (quota.used_bytes, quota.open_uploads) == (0, 0)
