"""Who may do what at AWS: the exact set for each function. A line here is a decision; the template follows it."""

from __future__ import annotations

from typing import Any

import pytest

from admin import kms
from dev.local.stack import PSEUDO_PARAMETERS
from tests.support.policies import Grant, grants

KEY_SET_PARTITION = ("KEY_SET",)

READ_KEY_SET = {("dynamodb:GetItem", "AuthTable", KEY_SET_PARTITION)}
PUT_EVENTS = {("events:PutEvents", "EventBus", None)}
LIST_BUCKET = {("s3:ListBucket", "Bucket", None)}
WRITE_OBJECTS = {
    (f"s3:{action}", "Bucket/o/*", None)
    for action in ("PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload", "ListMultipartUploadParts")
}

EXPECTED_GRANTS: dict[str, set[tuple[str, str, tuple[str, ...] | None]]] = {
    "AuthFunction": {
        ("dynamodb:GetItem", "AuthTable", ("KEY_SET", "CLIENT#*")),
        ("dynamodb:PutItem", "AuthTable", KEY_SET_PARTITION),
        ("kms:Sign", "SigningKey", None),
        ("kms:GetPublicKey", "SigningKey", None),
        ("kms:Sign", "key/*", None),
    },
    "UploadFunction": READ_KEY_SET
    | LIST_BUCKET
    | PUT_EVENTS
    | WRITE_OBJECTS
    | {
        (f"dynamodb:{verb}", "MetadataTable", None)
        for verb in ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")
    }
    | {(f"s3:{verb}Object", "Bucket/st/*", None) for verb in ("Put", "Get", "Delete")}
    | {("lambda:InvokeFunction", "CleanupFunction", None)},
    "DownloadFunction": READ_KEY_SET
    | LIST_BUCKET
    | {
        ("dynamodb:GetItem", "MetadataTable", ("N#*",)),
        ("s3:GetObject", "Bucket/o/*", None),
    },
    "StatusFunction": READ_KEY_SET
    | LIST_BUCKET
    | {
        ("dynamodb:GetItem", "MetadataTable", None),
        ("dynamodb:Query", "MetadataTable", None),
        ("dynamodb:UpdateItem", "MetadataTable", ("PERMITS",)),
        ("s3:GetObject", "Bucket/o/*", None),
        ("s3:ListMultipartUploadParts", "Bucket/o/*", None),
    },
    "CleanupFunction": READ_KEY_SET
    | LIST_BUCKET
    | PUT_EVENTS
    | WRITE_OBJECTS
    | {
        (f"dynamodb:{verb}", "MetadataTable", None)
        for verb in ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem", "BatchWriteItem")
    }
    | {
        ("dynamodb:Query", "MetadataTable/index/due_tasks", None),
        ("s3:GetObject", "Bucket/st/*", None),
        ("s3:DeleteObject", "Bucket/st/*", None),
        ("s3:ListBucketMultipartUploads", "Bucket", None),
    },
}

WHOLE_BUCKET_ACTIONS = {
    "s3:ListBucket": "S3 answers 403, not 404, for a key that is not there to whoever may not list. A condition on the "
    "prefix would take that back, for a HEAD names none.",
    "s3:ListBucketMultipartUploads": "S3 knows neither a smaller resource nor a prefix for it.",
}
"""Why a grant is for all of the bucket. Without a reason here it is not to be."""


@pytest.mark.parametrize("function", [*EXPECTED_GRANTS])
def test_function_has_exact_grants(function: str) -> None:
    """Nothing less, nothing more, nothing twice."""
    found = [(grant.action, grant.resource, grant.leading_keys) for grant in grants() if grant.function == function]
    assert len(found) == len(set(found))
    assert set(found) == EXPECTED_GRANTS[function]


def test_every_function_has_expected_grants(functions: dict[str, Any]) -> None:
    """Each of the template's functions has its set above, and permissions by no other way than its policies."""
    assert functions.keys() == EXPECTED_GRANTS.keys()
    for properties in functions.values():
        assert not {"Role", "PermissionsBoundary", "Connectors"} & properties.keys()
        assert all(isinstance(policy, dict) and set(policy) == {"Statement"} for policy in properties["Policies"])


@pytest.mark.parametrize("grant", grants(), ids=lambda grant: f"{grant.function}-{grant.action}-{grant.resource}")
def test_grant_has_no_wildcard(grant: Grant) -> None:
    """No wildcard in an action; in a resource only after a prefix, or where a tag narrows it; all of the bucket only
    for a reason.
    """
    assert "*" not in grant.action
    if grant.action.startswith("s3:"):
        name, _, prefix = grant.resource.partition("/")
        assert name == "Bucket"
        assert prefix in ("o/*", "st/*") if prefix else grant.action in WHOLE_BUCKET_ACTIONS
    else:
        assert "*" not in grant.resource or grant.tag is not None
        assert grant.resource != "*"
    assert grant.leading_keys is None or "*" not in grant.leading_keys


def test_only_auth_function_can_sign() -> None:
    """So one function can, and it can touch no file."""
    assert {grant.function for grant in grants() if grant.action == "kms:Sign"} == {"AuthFunction"}
    touched = {grant.resource for grant in grants() if grant.function == "AuthFunction"}
    assert touched == {"AuthTable", "SigningKey", "key/*"}


def test_only_tagged_keys_can_sign() -> None:
    """Those that an operator has made for it, told by a tag; `ferry-admin key add` sets the same."""
    (grant,) = (grant for grant in grants() if grant.resource == "key/*")
    assert (grant.action, grant.tag) == ("kms:Sign", (kms.STACK_TAG_KEY, PSEUDO_PARAMETERS["AWS::StackName"]))


def test_only_auth_function_reads_secret_hashes() -> None:
    """The others read the published keys from the same table, and nothing else."""
    for grant in grants():
        if grant.resource == "AuthTable" and grant.function != "AuthFunction":
            assert grant.leading_keys is not None
            assert not any(pattern.startswith("CLIENT") for pattern in grant.leading_keys)


def test_async_completion_target_is_cleanup_function(functions: dict[str, Any]) -> None:
    """Whoever may invoke the clean-up function is told its name, and nobody else is."""
    granted = {grant.function for grant in grants() if grant.action == "lambda:InvokeFunction"}
    told = {
        name: properties["Environment"]["Variables"]["FERRY_CLEANUP_FUNCTION"]
        for name, properties in functions.items()
        if "FERRY_CLEANUP_FUNCTION" in properties["Environment"]["Variables"]
    }
    assert told == {name: {"Ref": "CleanupFunction.Alias"} for name in granted}


def test_only_granted_functions_publish_to_event_bus(template: Any, functions: dict[str, Any]) -> None:
    """Whoever may put events is told the bus, unless they are switched off, and nobody else is."""
    granted = {grant.function for grant in grants() if grant.action == "events:PutEvents"}
    told = {
        name: properties["Environment"]["Variables"]["FERRY_EVENT_BUS"]
        for name, properties in functions.items()
        if "FERRY_EVENT_BUS" in properties["Environment"]["Variables"]
    }
    assert told == {name: {"Fn::If": ["EventsEnabled", {"Ref": "EventBus"}, ""]} for name in granted}
    assert template["Conditions"]["EventsEnabled"] == {"Fn::Equals": [{"Ref": "EnableEvents"}, "true"]}
