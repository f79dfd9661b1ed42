"""Tables, bucket and key: what must outlive a mistake, and what must not outlive its use."""

from __future__ import annotations

from typing import Any

import pytest

DAY = 86_400


def test_what_holds_data_survives_the_stack(template: Any) -> None:
    """A deleted or replaced stack must not take files, sessions, clients or the signing key with it."""
    lasting = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key")
    kept = {name: body for name, body in template["Resources"].items() if body["Type"] in lasting}
    assert {body["Type"] for body in kept.values()} == set(lasting)
    for name, body in kept.items():
        # A first deploy that fails leaves nothing behind; after that everything stays.
        assert body["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert body["UpdateReplacePolicy"] == "Retain", name


def test_lifecycle_rules_lie_beyond_every_upload(template: Any) -> None:
    """They count from creation: within the greatest age of a session they would delete bytes of a live one."""
    oldest_days = template["Parameters"]["SessionMaxAge"]["MaxValue"] / DAY
    rules = template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    by_prefix = {rule["Prefix"]: rule for rule in rules}
    assert set(by_prefix) == {"o/", "st/"}
    assert by_prefix["o/"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] > oldest_days
    assert by_prefix["st/"]["ExpirationInDays"] > oldest_days
    assert "ExpirationInDays" not in by_prefix["o/"], "finished files never expire"
    assert all(rule["Status"] == "Enabled" for rule in rules)


def test_finished_rows_go_by_themselves(template: Any) -> None:
    """The ledger's TTL attribute, and none on the clients' table."""
    ledger = template["Resources"]["LedgerTable"]["Properties"]
    assert ledger["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert "TimeToLiveSpecification" not in template["Resources"]["AccessTable"]["Properties"]


@pytest.mark.parametrize("table", ["LedgerTable", "AccessTable"])
def test_tables_can_be_restored(template: Any, table: str) -> None:
    """To any second of the last weeks; encrypted, and paid by use."""
    properties = template["Resources"][table]["Properties"]
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["SSESpecification"]["SSEEnabled"] is True
    assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_every_attribute_that_is_declared_is_a_key(template: Any) -> None:
    """DynamoDB refuses a table whose declared attributes are not exactly those of its keys."""
    for table in ("LedgerTable", "AccessTable"):
        properties = template["Resources"][table]["Properties"]
        schemas = [
            properties["KeySchema"],
            *(index["KeySchema"] for index in properties.get("GlobalSecondaryIndexes", [])),
        ]
        used = {key["AttributeName"] for schema in schemas for key in schema}
        assert {attribute["AttributeName"] for attribute in properties["AttributeDefinitions"]} == used


def test_nobody_reaches_the_bucket_past_its_door(template: Any) -> None:
    """No public access, no ACLs, no plain HTTP."""
    properties = template["Resources"]["Bucket"]["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (statement,) = template["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_a_browser_redirected_to_the_bucket_may_read_its_answer(template: Any) -> None:
    """It comes with `Origin: null`, and hides what is not exposed."""
    (rule,) = template["Resources"]["Bucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert set(rule["AllowedMethods"]) == {"GET", "HEAD", "PUT"}
    assert {"ETag", "Content-Range", "Accept-Ranges", "Content-Disposition"} <= set(rule["ExposedHeaders"])
    assert {"*", "null"} & set(rule["AllowedOrigins"])


def test_tokens_are_signed_where_the_key_cannot_leave(template: Any) -> None:
    """An ES256 key pair inside KMS."""
    properties = template["Resources"]["SigningKey"]["Properties"]
    assert (properties["KeySpec"], properties["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")


@pytest.mark.parametrize(
    "name", ["TokenLifetime", "SessionIdleTimeout", "SessionMaxAge", "UrlLifetime", "CleanupSchedule"]
)
def test_what_operators_tune_is_a_parameter(template: Any, name: str) -> None:
    """With a default, so that nothing need be tuned."""
    assert "Default" in template["Parameters"][name]


def test_the_defaults_are_the_limits_that_clients_rely_on(template: Any) -> None:
    """24 hours idle, 7 days in all, URLs of 15 minutes."""
    defaults = {name: spec.get("Default") for name, spec in template["Parameters"].items()}
    assert defaults["SessionIdleTimeout"] == 24 * 3600
    assert defaults["SessionMaxAge"] == 7 * DAY
    assert defaults["UrlLifetime"] == 15 * 60
