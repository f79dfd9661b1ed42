"""The exact AWS permissions of each function. A change here is a decision; the template follows it."""

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

ExpectedGrant = tuple[str, str, tuple[str, ...] | None]
"""An action, a resource, and the partitions of the table that it is limited to; None: no limit."""

MANAGE_UPLOADS: set[ExpectedGrant] = {
    *READ_KEY_SET,
    *LIST_BUCKET,
    *PUT_EVENTS,
    *WRITE_OBJECTS,
    *(
        (f"dynamodb:{verb}", "MetadataTable", None)
        for verb in ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem")
    ),
    *((f"s3:{verb}Object", "Bucket/st/*", None) for verb in ("Put", "Get", "Delete")),
    ("lambda:InvokeFunction", "CleanupFunction", None),
}
"""What a function needs that starts and completes uploads."""

EXPECTED_GRANTS: dict[str, set[ExpectedGrant]] = {
    "AuthFunction": {
        ("dynamodb:GetItem", "AuthTable", ("KEY_SET", "CLIENT#*")),
        ("dynamodb:PutItem", "AuthTable", KEY_SET_PARTITION),
        ("dynamodb:GetItem", "MetadataTable", ("L#*", "T#link#*")),
        ("dynamodb:BatchGetItem", "MetadataTable", ("L#*", "T#link#*")),
        ("dynamodb:UpdateItem", "MetadataTable", ("LP#*",)),
        ("dynamodb:PutItem", "MetadataTable", ("LA#*",)),
        ("kms:Sign", "SigningKey", None),
        ("kms:GetPublicKey", "SigningKey", None),
        ("kms:Sign", "key/*", None),
    },
    "UploadFunction": MANAGE_UPLOADS,
    "ChunkFunction": READ_KEY_SET
    | LIST_BUCKET
    | PUT_EVENTS
    | {(f"dynamodb:{verb}", "MetadataTable", None) for verb in ("GetItem", "Query", "UpdateItem")}
    | {
        (f"s3:{verb}", "Bucket/o/*", None)
        for verb in ("PutObject", "GetObject", "AbortMultipartUpload", "ListMultipartUploadParts")
    }
    | {(f"s3:{verb}Object", "Bucket/st/*", None) for verb in ("Put", "Get")},
    "ResumableFunction": MANAGE_UPLOADS,
    "FilesFunction": READ_KEY_SET
    | PUT_EVENTS
    | {
        (f"dynamodb:{verb}", "MetadataTable", ("N#*", "T#*", "Q#*"))
        for verb in ("GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
    }
    | {("dynamodb:GetItem", "MetadataTable", ("L#*",))}
    | {(f"s3:{verb}Object", "Bucket/o/*", None) for verb in ("Put", "Delete")},
    "DownloadFunction": READ_KEY_SET
    | LIST_BUCKET
    | PUT_EVENTS
    | {
        ("dynamodb:GetItem", "MetadataTable", ("N#*", "L#*")),
        ("dynamodb:UpdateItem", "MetadataTable", ("T#link#*",)),
        ("dynamodb:PutItem", "MetadataTable", ("LA#*",)),
        ("s3:GetObject", "Bucket/o/*", None),
    },
    "LinksFunction": READ_KEY_SET
    | LIST_BUCKET
    | PUT_EVENTS
    | {
        (f"dynamodb:{verb}", "MetadataTable", ("N#*", "L#*", "LN#*", "LA#*", "T#link#*"))
        for verb in ("GetItem", "BatchGetItem", "Query")
    }
    | {
        ("dynamodb:PutItem", "MetadataTable", ("L#*", "LN#*", "LA#*", "T#link#*")),
        ("dynamodb:UpdateItem", "MetadataTable", ("L#*", "T#link#*")),
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
    "WebFunction": set(),
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
    "s3:ListBucket": "Without it S3 answers 403 instead of 404 for a missing key. A condition on the prefix has "
    "the same effect, since a HEAD names no prefix.",
    "s3:ListBucketMultipartUploads": "S3 has neither a smaller resource nor a condition on the prefix for it.",
}
"""Actions that may apply to the whole bucket, each with its reason."""


@pytest.mark.parametrize("function", [*EXPECTED_GRANTS])
def test_function_has_exact_grants(function: str) -> None:
    """A function has exactly the expected grants, none of them twice."""
    found = [(grant.action, grant.resource, grant.leading_keys) for grant in grants() if grant.function == function]
    assert len(found) == len(set(found))
    assert set(found) == EXPECTED_GRANTS[function]


def test_every_function_has_expected_grants(functions: dict[str, Any]) -> None:
    """Every function has an expected set, and gets permissions from its inline policies alone."""
    assert functions.keys() == EXPECTED_GRANTS.keys()
    for properties in functions.values():
        assert not {"Role", "Connectors"} & properties.keys()
        policies = properties.get("Policies", [])
        assert all(isinstance(policy, dict) and set(policy) == {"Statement"} for policy in policies)


@pytest.mark.parametrize("grant", grants(), ids=lambda grant: f"{grant.function}-{grant.action}-{grant.resource}")
def test_grant_has_no_wildcard(grant: Grant) -> None:
    """No action has a wildcard; a resource only after a prefix or with a tag; the whole bucket needs a reason."""
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
    """Only the auth function signs tokens, and it has no access to files."""
    assert {grant.function for grant in grants() if grant.action == "kms:Sign"} == {"AuthFunction"}
    own = [grant for grant in grants() if grant.function == "AuthFunction"]
    assert {grant.resource for grant in own} == {"AuthTable", "MetadataTable", "SigningKey", "key/*"}
    keys = {key for grant in own if grant.resource == "MetadataTable" for key in grant.leading_keys or ("*",)}
    assert keys == {"L#*", "T#link#*", "LP#*", "LA#*"}


def test_only_tagged_keys_can_sign() -> None:
    """Further signing keys need the tag that `ferry-admin key add` sets."""
    (grant,) = (grant for grant in grants() if grant.resource == "key/*")
    assert (grant.action, grant.tag) == ("kms:Sign", (kms.STACK_TAG_KEY, PSEUDO_PARAMETERS["AWS::StackName"]))


def test_only_auth_function_reads_secret_hashes() -> None:
    """The other functions but that of the pages read the published keys of the auth table, and nothing else."""
    others = [grant for grant in grants() if grant.resource == "AuthTable" and grant.function != "AuthFunction"]
    assert {grant.function for grant in others} == EXPECTED_GRANTS.keys() - {"AuthFunction", "WebFunction"}
    for grant in others:
        assert grant.leading_keys is not None
        assert not any(pattern.startswith("CLIENT") for pattern in grant.leading_keys)


def test_async_completion_target_is_cleanup_function(functions: dict[str, Any]) -> None:
    """Exactly the functions that may invoke the cleanup function have its name in their environment."""
    granted = {grant.function for grant in grants() if grant.action == "lambda:InvokeFunction"}
    assert granted
    configured = {
        name: properties["Environment"]["Variables"]["FERRY_CLEANUP_FUNCTION"]
        for name, properties in functions.items()
        if "FERRY_CLEANUP_FUNCTION" in properties["Environment"]["Variables"]
    }
    assert configured == {name: {"Ref": "CleanupFunction.Alias"} for name in granted}


def test_only_granted_functions_publish_to_event_bus(template: Any, functions: dict[str, Any]) -> None:
    """Exactly the functions that may put events have the bus in their environment, unless events are disabled."""
    granted = {grant.function for grant in grants() if grant.action == "events:PutEvents"}
    assert granted
    configured = {
        name: properties["Environment"]["Variables"]["FERRY_EVENT_BUS"]
        for name, properties in functions.items()
        if "FERRY_EVENT_BUS" in properties["Environment"]["Variables"]
    }
    assert configured == {name: {"Fn::If": ["EventsEnabled", {"Ref": "EventBus"}, ""]} for name in granted}
    assert template["Conditions"]["EventsEnabled"] == {"Fn::Equals": [{"Ref": "EnableEvents"}, "true"]}
