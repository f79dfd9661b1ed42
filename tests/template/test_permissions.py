"""Who may do what at AWS: the exact set for each function. A line here is a decision; the template follows it."""

from __future__ import annotations

from typing import Any

import pytest

from admin import kms
from local.stack import PSEUDO
from tests.support.policies import Grant, grants

KEYRING = ("KEYRING",)

READ_KEYRING = {("dynamodb:GetItem", "AccessTable", KEYRING)}
TELL_EVENTS = {("events:PutEvents", "EventBus", None)}
TELL_ABSENT = {("s3:ListBucket", "Bucket", None)}
MAKE_OBJECTS = {
    (f"s3:{action}", "Bucket/o/*", None)
    for action in ("PutObject", "GetObject", "DeleteObject", "AbortMultipartUpload", "ListMultipartUploadParts")
}

ALLOWED: dict[str, set[tuple[str, str, tuple[str, ...] | None]]] = {
    "AuthFunction": {
        ("dynamodb:GetItem", "AccessTable", ("KEYRING", "CLIENT#*")),
        ("dynamodb:PutItem", "AccessTable", KEYRING),
        ("kms:Sign", "SigningKey", None),
        ("kms:GetPublicKey", "SigningKey", None),
        ("kms:Sign", "key/*", None),
    },
    "UploadFunction": READ_KEYRING
    | TELL_ABSENT
    | TELL_EVENTS
    | MAKE_OBJECTS
    | {
        (f"dynamodb:{verb}", "LedgerTable", None)
        for verb in ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem")
    }
    | {(f"s3:{verb}Object", "Bucket/st/*", None) for verb in ("Put", "Get", "Delete")}
    | {("lambda:InvokeFunction", "CleanupFunction", None)},
    "DownloadFunction": READ_KEYRING
    | TELL_ABSENT
    | {
        ("dynamodb:GetItem", "LedgerTable", ("N#*",)),
        ("s3:GetObject", "Bucket/o/*", None),
    },
    "StatusFunction": READ_KEYRING
    | TELL_ABSENT
    | {
        ("dynamodb:GetItem", "LedgerTable", None),
        ("dynamodb:Query", "LedgerTable", None),
        ("dynamodb:UpdateItem", "LedgerTable", ("WAIT",)),
        ("s3:GetObject", "Bucket/o/*", None),
        ("s3:ListMultipartUploadParts", "Bucket/o/*", None),
    },
    "CleanupFunction": READ_KEYRING
    | TELL_ABSENT
    | TELL_EVENTS
    | MAKE_OBJECTS
    | {
        (f"dynamodb:{verb}", "LedgerTable", None)
        for verb in ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchGetItem", "BatchWriteItem")
    }
    | {
        ("dynamodb:Query", "LedgerTable/index/due", None),
        ("s3:GetObject", "Bucket/st/*", None),
        ("s3:DeleteObject", "Bucket/st/*", None),
        ("s3:ListBucketMultipartUploads", "Bucket", None),
    },
}

WHOLE_BUCKET = {
    "s3:ListBucket": "S3 answers 403, not 404, for a key that is not there to whoever may not list. A condition on the "
    "prefix would take that back, for a HEAD names none.",
    "s3:ListBucketMultipartUploads": "S3 knows neither a smaller resource nor a prefix for it.",
}
"""Why a grant is for all of the bucket. Without a reason here it is not to be."""


@pytest.mark.parametrize("function", [*ALLOWED])
def test_a_function_may_do_exactly_this(function: str) -> None:
    """Nothing less, nothing more, nothing twice."""
    found = [(grant.action, grant.resource, grant.leading_keys) for grant in grants() if grant.function == function]
    assert len(found) == len(set(found))
    assert set(found) == ALLOWED[function]


def test_no_function_is_forgotten(functions: dict[str, Any]) -> None:
    """Each of the template's functions has its set above, and permissions by no other way than its policies."""
    assert functions.keys() == ALLOWED.keys()
    for properties in functions.values():
        assert not {"Role", "PermissionsBoundary", "Connectors"} & properties.keys()
        assert all(isinstance(policy, dict) and set(policy) == {"Statement"} for policy in properties["Policies"])


@pytest.mark.parametrize("grant", grants(), ids=lambda grant: f"{grant.function}-{grant.action}-{grant.resource}")
def test_nothing_is_granted_by_wildcard(grant: Grant) -> None:
    """No wildcard in an action; in a resource only after a prefix, or where a tag narrows it; all of the bucket only
    for a reason.
    """
    assert "*" not in grant.action
    if grant.action.startswith("s3:"):
        name, _, prefix = grant.resource.partition("/")
        assert name == "Bucket"
        assert prefix in ("o/*", "st/*") if prefix else grant.action in WHOLE_BUCKET
    else:
        assert "*" not in grant.resource or grant.tag is not None
        assert grant.resource != "*"
    assert grant.leading_keys is None or "*" not in grant.leading_keys


def test_whoever_can_sign_can_be_anybody() -> None:
    """So one function can, and it can touch no file."""
    assert {grant.function for grant in grants() if grant.action == "kms:Sign"} == {"AuthFunction"}
    touched = {grant.resource for grant in grants() if grant.function == "AuthFunction"}
    assert touched == {"AccessTable", "SigningKey", "key/*"}


def test_of_the_accounts_keys_the_stacks_own_may_sign() -> None:
    """Those that an operator has made for it, told by a tag; `ferry-admin key add` sets the same."""
    (grant,) = (grant for grant in grants() if grant.resource == "key/*")
    assert (grant.action, grant.tag) == ("kms:Sign", (kms.TAG, PSEUDO["AWS::StackName"]))


def test_only_the_token_function_sees_hashes_of_secrets() -> None:
    """The others read the published keys from the same table, and nothing else."""
    for grant in grants():
        if grant.resource == "AccessTable" and grant.function != "AuthFunction":
            assert grant.leading_keys is not None
            assert not any(pattern.startswith("CLIENT") for pattern in grant.leading_keys)


def test_work_is_handed_on_to_the_function_that_is_told(functions: dict[str, Any]) -> None:
    """Whoever may invoke the clean-up function is told its name, and nobody else is."""
    granted = {grant.function for grant in grants() if grant.action == "lambda:InvokeFunction"}
    told = {
        name: properties["Environment"]["Variables"]["FERRY_CLEANUP_FUNCTION"]
        for name, properties in functions.items()
        if "FERRY_CLEANUP_FUNCTION" in properties["Environment"]["Variables"]
    }
    assert told == {name: {"Ref": "CleanupFunction.Alias"} for name in granted}


def test_events_go_to_the_stacks_own_bus_by_whoever_may_put_them(template: Any, functions: dict[str, Any]) -> None:
    """Whoever may put events is told the bus, unless they are switched off, and nobody else is."""
    granted = {grant.function for grant in grants() if grant.action == "events:PutEvents"}
    told = {
        name: properties["Environment"]["Variables"]["FERRY_EVENT_BUS"]
        for name, properties in functions.items()
        if "FERRY_EVENT_BUS" in properties["Environment"]["Variables"]
    }
    assert told == {name: {"Fn::If": ["Publishes", {"Ref": "EventBus"}, ""]} for name in granted}
    assert template["Conditions"]["Publishes"] == {"Fn::Equals": [{"Ref": "PublishEvents"}, "true"]}
