"""Nothing is granted that no test needs. (That nothing is called that is not granted, every test here fails by itself.)

Each grant of each function names a test that cannot do without it. The test is found, run on a stack of its own, and
watched: a grant stays in template.yaml only as long as that call is made.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from itertools import groupby

import pytest

from local.recorder.sitecustomize import Need
from tests.integration.conftest import new_stack
from tests.integration.stack import Stack
from tests.support.calls import Call, refused
from tests.support.policies import Grant, grants

# The first token of all is issued in it too, as in every test.
ANOTHER_KEY = "test_admin.py::test_a_key_made_since_signs"
CANCEL = "test_repairs.py::test_a_cancelled_upload_leaves_nothing_in_s3"
DELETE = "test_uploads.py::test_deleting_a_file"
DIED = "test_repairs.py::test_the_sweep_finds_a_completion_whose_answer_was_lost"
GONE = "test_repairs.py::test_a_file_whose_object_is_gone_is_a_503"
HANDED_ON = "test_repairs.py::test_what_takes_too_long_is_handed_on_and_finished"
KEYS = "test_repairs.py::test_every_function_reads_the_published_keys_for_itself[{}]"
LANDED = "test_repairs.py::test_parts_put_straight_to_s3_are_found_there"
WAITED = "test_status.py::test_unchanged_when_the_time_is_up"
LOST = "test_repairs.py::test_a_multipart_upload_that_s3_has_lost_is_no_file"
SWEEP = "test_repairs.py::test_the_sweep_takes_away_what_its_time_has_come_for"
UNHEARD = "test_repairs.py::test_a_completion_whose_answer_was_lost_is_found"

NEEDED_BY: Mapping[tuple[str, str, str], str] = {
    ("AuthFunction", "dynamodb:GetItem", "AccessTable"): CANCEL,
    ("AuthFunction", "dynamodb:PutItem", "AccessTable"): CANCEL,
    ("AuthFunction", "kms:GetPublicKey", "SigningKey"): CANCEL,
    ("AuthFunction", "kms:Sign", "SigningKey"): CANCEL,
    ("AuthFunction", "kms:Sign", "key/*"): ANOTHER_KEY,
    ("UploadFunction", "dynamodb:GetItem", "AccessTable"): KEYS.format("upload"),
    ("UploadFunction", "dynamodb:GetItem", "LedgerTable"): CANCEL,
    ("UploadFunction", "dynamodb:Query", "LedgerTable"): CANCEL,
    ("UploadFunction", "dynamodb:PutItem", "LedgerTable"): CANCEL,
    ("UploadFunction", "dynamodb:UpdateItem", "LedgerTable"): CANCEL,
    ("UploadFunction", "dynamodb:DeleteItem", "LedgerTable"): DELETE,
    ("UploadFunction", "s3:PutObject", "Bucket/o/*"): CANCEL,
    ("UploadFunction", "s3:GetObject", "Bucket/o/*"): UNHEARD,
    ("UploadFunction", "s3:DeleteObject", "Bucket/o/*"): CANCEL,
    ("UploadFunction", "s3:AbortMultipartUpload", "Bucket/o/*"): CANCEL,
    ("UploadFunction", "s3:ListMultipartUploadParts", "Bucket/o/*"): CANCEL,
    ("UploadFunction", "s3:PutObject", "Bucket/st/*"): CANCEL,
    ("UploadFunction", "s3:GetObject", "Bucket/st/*"): SWEEP,
    ("UploadFunction", "s3:DeleteObject", "Bucket/st/*"): CANCEL,
    ("UploadFunction", "s3:ListBucket", "Bucket"): CANCEL,
    ("UploadFunction", "lambda:InvokeFunction", "CleanupFunction"): HANDED_ON,
    ("UploadFunction", "events:PutEvents", "EventBus"): CANCEL,
    ("DownloadFunction", "dynamodb:GetItem", "AccessTable"): KEYS.format("download"),
    ("DownloadFunction", "dynamodb:GetItem", "LedgerTable"): GONE,
    ("DownloadFunction", "s3:GetObject", "Bucket/o/*"): GONE,
    ("DownloadFunction", "s3:ListBucket", "Bucket"): GONE,
    ("StatusFunction", "dynamodb:GetItem", "AccessTable"): KEYS.format("status"),
    ("StatusFunction", "dynamodb:GetItem", "LedgerTable"): LANDED,
    ("StatusFunction", "dynamodb:Query", "LedgerTable"): LANDED,
    ("StatusFunction", "dynamodb:UpdateItem", "LedgerTable"): WAITED,
    ("StatusFunction", "s3:GetObject", "Bucket/o/*"): LANDED,
    ("StatusFunction", "s3:ListMultipartUploadParts", "Bucket/o/*"): LANDED,
    ("StatusFunction", "s3:ListBucket", "Bucket"): LOST,
    ("CleanupFunction", "dynamodb:GetItem", "AccessTable"): KEYS.format("cleanup"),
    ("CleanupFunction", "dynamodb:GetItem", "LedgerTable"): SWEEP,
    ("CleanupFunction", "dynamodb:Query", "LedgerTable"): SWEEP,
    ("CleanupFunction", "dynamodb:Query", "LedgerTable/index/due"): SWEEP,
    ("CleanupFunction", "dynamodb:PutItem", "LedgerTable"): SWEEP,
    ("CleanupFunction", "dynamodb:UpdateItem", "LedgerTable"): SWEEP,
    ("CleanupFunction", "dynamodb:DeleteItem", "LedgerTable"): SWEEP,
    ("CleanupFunction", "dynamodb:BatchGetItem", "LedgerTable"): SWEEP,
    ("CleanupFunction", "dynamodb:BatchWriteItem", "LedgerTable"): SWEEP,
    ("CleanupFunction", "events:PutEvents", "EventBus"): SWEEP,
    ("CleanupFunction", "s3:PutObject", "Bucket/o/*"): HANDED_ON,
    ("CleanupFunction", "s3:GetObject", "Bucket/o/*"): DIED,
    ("CleanupFunction", "s3:DeleteObject", "Bucket/o/*"): SWEEP,
    ("CleanupFunction", "s3:AbortMultipartUpload", "Bucket/o/*"): SWEEP,
    ("CleanupFunction", "s3:ListMultipartUploadParts", "Bucket/o/*"): SWEEP,
    ("CleanupFunction", "s3:GetObject", "Bucket/st/*"): HANDED_ON,
    ("CleanupFunction", "s3:DeleteObject", "Bucket/st/*"): SWEEP,
    ("CleanupFunction", "s3:ListBucket", "Bucket"): SWEEP,
    ("CleanupFunction", "s3:ListBucketMultipartUploads", "Bucket"): SWEEP,
}

TEST_ID = re.compile(r"(?P<module>\w+)\.py::(?P<name>\w+)(?:\[(?P<argument>\w+)\])?")


def key_of(grant: Grant) -> tuple[str, str, str]:
    return grant.function, grant.action, grant.resource


@pytest.fixture
def stack() -> Iterator[Stack]:
    with new_stack() as made:
        yield made


def run(test_id: str, stack: Stack, patch: pytest.MonkeyPatch) -> None:
    """Run a test of this folder. Fails when there is none of that name."""
    found = TEST_ID.fullmatch(test_id)
    assert found is not None
    module = importlib.import_module(f"{__package__}.{found['module']}")
    test = getattr(module, found["name"])
    at_hand = {"stack": stack, "monkeypatch": patch, "function": found["argument"]}
    wanted = test.__code__.co_varnames[: test.__code__.co_argcount]
    test(**{name: at_hand[name] for name in wanted})


def test_every_grant_names_the_test_that_needs_it() -> None:
    """And no test is named for what is not granted."""
    assert NEEDED_BY.keys() == {key_of(grant) for grant in grants()}


@pytest.mark.parametrize(
    ("test_id", "keys"),
    [
        (test_id, {key for key, _ in entries})
        for test_id, entries in groupby(sorted(NEEDED_BY.items(), key=lambda item: item[1]), key=lambda item: item[1])
    ],
)
def test_the_test_that_is_named_makes_the_call(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, test_id: str, keys: set[tuple[str, str, str]]
) -> None:
    """Run, and watched: every call that it is named for is among those it makes."""
    run(test_id, stack, monkeypatch)
    made = {key_of(grant) for call in stack.watch.calls for grant in call.grants}
    assert keys <= made, sorted(keys - made)


@pytest.mark.parametrize(
    ("function", "need"),
    [
        ("DownloadFunction", Need("s3:PutObject", "Bucket/o/x")),
        ("DownloadFunction", Need("s3:GetObject", "Bucket/st/x")),
        ("DownloadFunction", Need("dynamodb:GetItem", "LedgerTable", ("U#x",))),
        ("DownloadFunction", Need("dynamodb:GetItem", "AccessTable", ("CLIENT#x",))),
        ("UploadFunction", Need("dynamodb:Scan", "LedgerTable")),
        ("StatusFunction", Need("dynamodb:UpdateItem", "LedgerTable", ("N#x",))),
        ("CleanupFunction", Need("s3:GetObject", "Bucket/elsewhere/x")),
        ("AuthFunction", Need("dynamodb:PutItem", "AccessTable", ("CLIENT#x",))),
    ],
)
def test_what_is_not_granted_is_noticed(function: str, need: Need) -> None:
    """The watch itself: a call like these fails the test in which it is made."""
    assert refused([Call(function, need)])
