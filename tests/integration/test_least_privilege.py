"""Least privilege: template.yaml grants no permission that no test needs.

Each grant names a test that needs it. That test runs here on a stack of its own with its AWS calls recorded: a grant
without such a call must leave the template. The opposite, a call without a grant, fails every integration test.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from itertools import groupby

import pytest

from dev.local.call_recorder.sitecustomize import RequiredPermission
from tests.integration.conftest import new_stack
from tests.integration.stack import Stack
from tests.support.calls import FunctionCall, denied_calls
from tests.support.policies import Grant, grants

# Like every test, it also issues the first token.
ADDED_KEY = "test_admin.py::test_added_key_signs_tokens"
TUS_DELETE = "test_tus.py::test_deleted_upload_leaves_nothing_in_s3"
TUS_CONCATENATION = "test_tus.py::test_long_concatenation_continues_asynchronously"
CANCEL = "test_recovery_paths.py::test_cancelled_upload_leaves_nothing_in_s3"
DELETE = "test_uploads.py::test_deleted_file_returns_404"
DELETE_COUNTED = "test_files.py::test_deleted_file_leaves_usage"
DELETE_SEVERAL = "test_file_changes.py::test_delete_reports_each_name"
MOVE = "test_file_changes.py::test_move_normalizes_names"
RENAME = "test_rename.py::test_start_under_rename_gets_a_free_name"
LIST = "test_files.py::test_list_has_files_with_prefix"
PUT_REJECTED = "test_put_files.py::test_put_under_failed_condition_stores_nothing"
LINK_DOWNLOADS = "test_links.py::test_downloads_are_counted_and_recorded"
MISSING_LINK_OBJECT = "test_links.py::test_link_to_a_file_with_missing_object_returns_503"
WRONG_PASSWORD = "test_link_tokens.py::test_wrong_passwords_lock_a_network"
DOWNLOAD_BY_TOKEN = "test_link_routes.py::test_downloads_of_one_token_count_once_per_file"
CRASHED_COMPLETION = "test_recovery_paths.py::test_lost_completion_response_is_recovered_by_sweep"
MISSING_OBJECT = "test_recovery_paths.py::test_file_with_missing_object_returns_503"
ASYNC_COMPLETION = "test_recovery_paths.py::test_long_completion_continues_asynchronously"
KEYS = "test_recovery_paths.py::test_function_in_new_process_verifies_token[{}]"
PARTS_IN_S3 = "test_recovery_paths.py::test_status_after_presigned_put_counts_bytes_in_s3"
LONG_POLL = "test_status.py::test_long_poll_timeout_returns_unchanged_status"
LOST_MULTIPART = "test_recovery_paths.py::test_status_of_missing_multipart_upload_counts_no_bytes"
SWEEP = "test_recovery_paths.py::test_sweep_deletes_due_storage"
LOST_RESPONSE = "test_recovery_paths.py::test_lost_completion_response_is_recovered_by_request"

CHUNK_ENDPOINT = "test_chunk_endpoint.py::test_function_url_opens_upload_and_counts_presigned_parts"
CHUNK_ENDPOINT_LOST = "test_chunk_endpoint.py::test_function_url_counts_parts_of_completed_multipart_upload"
REQUIRED_BY_TEST: Mapping[tuple[str, str, str], str] = {
    ("AuthFunction", "dynamodb:GetItem", "AuthTable"): CANCEL,
    ("AuthFunction", "dynamodb:PutItem", "AuthTable"): CANCEL,
    ("AuthFunction", "dynamodb:GetItem", "MetadataTable"): WRONG_PASSWORD,
    ("AuthFunction", "dynamodb:BatchGetItem", "MetadataTable"): WRONG_PASSWORD,
    ("AuthFunction", "dynamodb:UpdateItem", "MetadataTable"): WRONG_PASSWORD,
    ("AuthFunction", "dynamodb:PutItem", "MetadataTable"): WRONG_PASSWORD,
    ("AuthFunction", "kms:GetPublicKey", "SigningKey"): CANCEL,
    ("AuthFunction", "kms:Sign", "SigningKey"): CANCEL,
    ("AuthFunction", "kms:Sign", "key/*"): ADDED_KEY,
    ("UploadFunction", "dynamodb:GetItem", "AuthTable"): KEYS.format("upload"),
    ("UploadFunction", "dynamodb:GetItem", "MetadataTable"): CANCEL,
    ("UploadFunction", "dynamodb:BatchGetItem", "MetadataTable"): RENAME,
    ("UploadFunction", "dynamodb:Query", "MetadataTable"): CANCEL,
    ("UploadFunction", "dynamodb:PutItem", "MetadataTable"): CANCEL,
    ("UploadFunction", "dynamodb:UpdateItem", "MetadataTable"): CANCEL,
    ("UploadFunction", "s3:PutObject", "Bucket/o/*"): CANCEL,
    ("UploadFunction", "s3:GetObject", "Bucket/o/*"): LOST_RESPONSE,
    ("UploadFunction", "s3:DeleteObject", "Bucket/o/*"): CANCEL,
    ("UploadFunction", "s3:AbortMultipartUpload", "Bucket/o/*"): CANCEL,
    ("UploadFunction", "s3:ListMultipartUploadParts", "Bucket/o/*"): CANCEL,
    ("UploadFunction", "s3:PutObject", "Bucket/st/*"): CANCEL,
    ("UploadFunction", "s3:GetObject", "Bucket/st/*"): SWEEP,
    ("UploadFunction", "s3:DeleteObject", "Bucket/st/*"): CANCEL,
    ("UploadFunction", "s3:ListBucket", "Bucket"): CANCEL,
    ("UploadFunction", "lambda:InvokeFunction", "CleanupFunction"): ASYNC_COMPLETION,
    ("UploadFunction", "events:PutEvents", "EventBus"): CANCEL,
    ("ChunkFunction", "dynamodb:GetItem", "AuthTable"): CHUNK_ENDPOINT,
    ("ChunkFunction", "dynamodb:GetItem", "MetadataTable"): CHUNK_ENDPOINT,
    ("ChunkFunction", "dynamodb:Query", "MetadataTable"): CHUNK_ENDPOINT,
    ("ChunkFunction", "dynamodb:UpdateItem", "MetadataTable"): CHUNK_ENDPOINT,
    ("ChunkFunction", "s3:PutObject", "Bucket/o/*"): CHUNK_ENDPOINT,
    ("ChunkFunction", "s3:GetObject", "Bucket/o/*"): CHUNK_ENDPOINT_LOST,
    ("ChunkFunction", "s3:AbortMultipartUpload", "Bucket/o/*"): CHUNK_ENDPOINT,
    ("ChunkFunction", "s3:ListMultipartUploadParts", "Bucket/o/*"): CHUNK_ENDPOINT,
    ("ChunkFunction", "s3:PutObject", "Bucket/st/*"): CHUNK_ENDPOINT,
    ("ChunkFunction", "s3:GetObject", "Bucket/st/*"): CHUNK_ENDPOINT,
    ("ChunkFunction", "s3:ListBucket", "Bucket"): CHUNK_ENDPOINT_LOST,
    ("ChunkFunction", "events:PutEvents", "EventBus"): CHUNK_ENDPOINT,
    ("ResumableFunction", "dynamodb:GetItem", "AuthTable"): KEYS.format("resumable"),
    ("ResumableFunction", "dynamodb:GetItem", "MetadataTable"): TUS_DELETE,
    ("ResumableFunction", "dynamodb:BatchGetItem", "MetadataTable"): TUS_CONCATENATION,
    ("ResumableFunction", "dynamodb:Query", "MetadataTable"): TUS_DELETE,
    ("ResumableFunction", "dynamodb:PutItem", "MetadataTable"): TUS_DELETE,
    ("ResumableFunction", "dynamodb:UpdateItem", "MetadataTable"): TUS_DELETE,
    ("ResumableFunction", "s3:PutObject", "Bucket/o/*"): TUS_DELETE,
    ("ResumableFunction", "s3:GetObject", "Bucket/o/*"): TUS_CONCATENATION,
    ("ResumableFunction", "s3:DeleteObject", "Bucket/o/*"): TUS_DELETE,
    ("ResumableFunction", "s3:AbortMultipartUpload", "Bucket/o/*"): TUS_DELETE,
    ("ResumableFunction", "s3:ListMultipartUploadParts", "Bucket/o/*"): TUS_DELETE,
    ("ResumableFunction", "s3:PutObject", "Bucket/st/*"): TUS_DELETE,
    ("ResumableFunction", "s3:GetObject", "Bucket/st/*"): TUS_DELETE,
    ("ResumableFunction", "s3:DeleteObject", "Bucket/st/*"): TUS_DELETE,
    ("ResumableFunction", "s3:ListBucket", "Bucket"): TUS_DELETE,
    ("ResumableFunction", "lambda:InvokeFunction", "CleanupFunction"): TUS_CONCATENATION,
    ("ResumableFunction", "events:PutEvents", "EventBus"): TUS_DELETE,
    ("FilesFunction", "dynamodb:GetItem", "AuthTable"): KEYS.format("files"),
    ("FilesFunction", "dynamodb:GetItem", "MetadataTable"): DELETE,
    ("FilesFunction", "dynamodb:BatchGetItem", "MetadataTable"): MOVE,
    ("FilesFunction", "dynamodb:BatchWriteItem", "MetadataTable"): DELETE_SEVERAL,
    ("FilesFunction", "dynamodb:Query", "MetadataTable"): LIST,
    ("FilesFunction", "dynamodb:PutItem", "MetadataTable"): DELETE,
    ("FilesFunction", "dynamodb:UpdateItem", "MetadataTable"): DELETE_COUNTED,
    ("FilesFunction", "dynamodb:DeleteItem", "MetadataTable"): DELETE,
    ("FilesFunction", "events:PutEvents", "EventBus"): DELETE,
    ("FilesFunction", "s3:PutObject", "Bucket/o/*"): PUT_REJECTED,
    ("FilesFunction", "s3:DeleteObject", "Bucket/o/*"): PUT_REJECTED,
    ("DownloadFunction", "dynamodb:GetItem", "AuthTable"): KEYS.format("download"),
    ("DownloadFunction", "dynamodb:GetItem", "MetadataTable"): MISSING_OBJECT,
    ("DownloadFunction", "dynamodb:UpdateItem", "MetadataTable"): DOWNLOAD_BY_TOKEN,
    ("DownloadFunction", "dynamodb:PutItem", "MetadataTable"): DOWNLOAD_BY_TOKEN,
    ("DownloadFunction", "s3:GetObject", "Bucket/o/*"): MISSING_OBJECT,
    ("DownloadFunction", "s3:ListBucket", "Bucket"): MISSING_OBJECT,
    ("DownloadFunction", "events:PutEvents", "EventBus"): DOWNLOAD_BY_TOKEN,
    ("LinksFunction", "dynamodb:GetItem", "AuthTable"): KEYS.format("links"),
    ("LinksFunction", "dynamodb:GetItem", "MetadataTable"): LINK_DOWNLOADS,
    ("LinksFunction", "dynamodb:BatchGetItem", "MetadataTable"): LINK_DOWNLOADS,
    ("LinksFunction", "dynamodb:Query", "MetadataTable"): LINK_DOWNLOADS,
    ("LinksFunction", "dynamodb:PutItem", "MetadataTable"): LINK_DOWNLOADS,
    ("LinksFunction", "dynamodb:UpdateItem", "MetadataTable"): LINK_DOWNLOADS,
    ("LinksFunction", "s3:GetObject", "Bucket/o/*"): LINK_DOWNLOADS,
    ("LinksFunction", "s3:ListBucket", "Bucket"): MISSING_LINK_OBJECT,
    ("LinksFunction", "events:PutEvents", "EventBus"): LINK_DOWNLOADS,
    ("StatusFunction", "dynamodb:GetItem", "AuthTable"): KEYS.format("status"),
    ("StatusFunction", "dynamodb:GetItem", "MetadataTable"): PARTS_IN_S3,
    ("StatusFunction", "dynamodb:Query", "MetadataTable"): PARTS_IN_S3,
    ("StatusFunction", "dynamodb:UpdateItem", "MetadataTable"): LONG_POLL,
    ("StatusFunction", "s3:GetObject", "Bucket/o/*"): PARTS_IN_S3,
    ("StatusFunction", "s3:ListMultipartUploadParts", "Bucket/o/*"): PARTS_IN_S3,
    ("StatusFunction", "s3:ListBucket", "Bucket"): LOST_MULTIPART,
    ("CleanupFunction", "dynamodb:GetItem", "AuthTable"): KEYS.format("cleanup"),
    ("CleanupFunction", "dynamodb:GetItem", "MetadataTable"): SWEEP,
    ("CleanupFunction", "dynamodb:Query", "MetadataTable"): SWEEP,
    ("CleanupFunction", "dynamodb:Query", "MetadataTable/index/due_tasks"): SWEEP,
    ("CleanupFunction", "dynamodb:PutItem", "MetadataTable"): SWEEP,
    ("CleanupFunction", "dynamodb:UpdateItem", "MetadataTable"): SWEEP,
    ("CleanupFunction", "dynamodb:DeleteItem", "MetadataTable"): SWEEP,
    ("CleanupFunction", "dynamodb:BatchGetItem", "MetadataTable"): SWEEP,
    ("CleanupFunction", "dynamodb:BatchWriteItem", "MetadataTable"): SWEEP,
    ("CleanupFunction", "events:PutEvents", "EventBus"): SWEEP,
    ("CleanupFunction", "s3:PutObject", "Bucket/o/*"): ASYNC_COMPLETION,
    ("CleanupFunction", "s3:GetObject", "Bucket/o/*"): CRASHED_COMPLETION,
    ("CleanupFunction", "s3:DeleteObject", "Bucket/o/*"): SWEEP,
    ("CleanupFunction", "s3:AbortMultipartUpload", "Bucket/o/*"): SWEEP,
    ("CleanupFunction", "s3:ListMultipartUploadParts", "Bucket/o/*"): SWEEP,
    ("CleanupFunction", "s3:GetObject", "Bucket/st/*"): ASYNC_COMPLETION,
    ("CleanupFunction", "s3:DeleteObject", "Bucket/st/*"): SWEEP,
    ("CleanupFunction", "s3:ListBucket", "Bucket"): SWEEP,
    ("CleanupFunction", "s3:ListBucketMultipartUploads", "Bucket"): SWEEP,
}

TEST_ID = re.compile(r"(?P<module>\w+)\.py::(?P<name>\w+)(?:\[(?P<argument>\w+)\])?")


def grant_key(grant: Grant) -> tuple[str, str, str]:
    return grant.function, grant.action, grant.resource


@pytest.fixture
def stack() -> Iterator[Stack]:
    with new_stack() as created:
        yield created


def run_test(test_id: str, stack: Stack, patch: pytest.MonkeyPatch) -> None:
    """Run a test of this folder. Fails if there is no test of that name."""
    found = TEST_ID.fullmatch(test_id)
    assert found is not None
    module = importlib.import_module(f"{__package__}.{found['module']}")
    test = getattr(module, found["name"])
    arguments = {"stack": stack, "monkeypatch": patch, "function": found["argument"]}
    parameters = test.__code__.co_varnames[: test.__code__.co_argcount]
    test(**{name: arguments[name] for name in parameters})


def test_every_grant_names_a_test() -> None:
    """Every grant of the template names a test, and every named grant exists."""
    assert REQUIRED_BY_TEST.keys() == {grant_key(grant) for grant in grants()}


@pytest.mark.parametrize(
    ("test_id", "keys"),
    [
        (test_id, {key for key, _ in entries})
        for test_id, entries in groupby(
            sorted(REQUIRED_BY_TEST.items(), key=lambda item: item[1]), key=lambda item: item[1]
        )
    ],
)
@pytest.mark.stress
def test_named_test_uses_the_grant(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, test_id: str, keys: set[tuple[str, str, str]]
) -> None:
    """The named test makes a call that needs the grant."""
    run_test(test_id, stack, monkeypatch)
    used = {grant_key(grant) for call in stack.call_recorder.calls for grant in call.matching_grants}
    assert keys <= used, sorted(keys - used)


@pytest.mark.parametrize(
    ("function", "permission"),
    [
        ("DownloadFunction", RequiredPermission("s3:PutObject", "Bucket/o/x")),
        ("DownloadFunction", RequiredPermission("s3:GetObject", "Bucket/st/x")),
        ("DownloadFunction", RequiredPermission("dynamodb:GetItem", "MetadataTable", ("U#x",))),
        ("DownloadFunction", RequiredPermission("dynamodb:GetItem", "AuthTable", ("CLIENT#x",))),
        ("UploadFunction", RequiredPermission("dynamodb:Scan", "MetadataTable")),
        ("FilesFunction", RequiredPermission("dynamodb:GetItem", "MetadataTable", ("U#x",))),
        ("LinksFunction", RequiredPermission("dynamodb:GetItem", "MetadataTable", ("U#x",))),
        ("LinksFunction", RequiredPermission("dynamodb:PutItem", "MetadataTable", ("N#x",))),
        ("LinksFunction", RequiredPermission("s3:PutObject", "Bucket/o/x")),
        ("StatusFunction", RequiredPermission("dynamodb:UpdateItem", "MetadataTable", ("N#x",))),
        ("CleanupFunction", RequiredPermission("s3:GetObject", "Bucket/elsewhere/x")),
        ("AuthFunction", RequiredPermission("dynamodb:PutItem", "AuthTable", ("CLIENT#x",))),
        ("AuthFunction", RequiredPermission("dynamodb:GetItem", "MetadataTable", ("N#x",))),
        ("AuthFunction", RequiredPermission("dynamodb:UpdateItem", "MetadataTable", ("L#x",))),
    ],
)
def test_call_without_grant_is_detected(function: str, permission: RequiredPermission) -> None:
    """A call without a grant is reported as denied."""
    assert denied_calls([FunctionCall(function, permission)])
