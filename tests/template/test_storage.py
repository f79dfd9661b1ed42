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
    """No public access, no ACLs; what is stored is encrypted."""
    properties = template["Resources"]["Bucket"]["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms")


def test_what_the_bucket_denies_to_everybody(template: Any) -> None:
    """Plain HTTP, TLS before 1.2, and signatures older than any URL may become; its policy allows nothing."""
    policy = template["Resources"]["BucketPolicy"]["Properties"]
    assert policy["Bucket"] == {"Ref": "Bucket"}
    statements = policy["PolicyDocument"]["Statement"]
    longest = template["Parameters"]["UrlLifetime"]["MaxValue"] * 1000
    assert [statement["Condition"] for statement in statements] == [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        {"NumericGreaterThan": {"s3:signatureAge": str(longest)}},
    ]
    for statement in statements:
        assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
        assert {"Fn::Sub": "${Bucket.Arn}/*"} in [statement["Resource"], *statement["Resource"]]


def test_pages_of_the_configured_origins_may_use_the_buckets_urls(template: Any) -> None:
    """Those of the API's parameter, and no others, may write; they may read every header that a download has."""
    configured, redirected = template["Resources"]["Bucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert configured["AllowedOrigins"] == {"Ref": "CorsOrigins"}
    assert template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["AllowOrigins"] == {"Ref": "CorsOrigins"}
    assert set(configured["AllowedMethods"]) == {"GET", "HEAD", "PUT"}
    assert {"range", "if-range", "x-amz-checksum-crc32c"} <= set(configured["AllowedHeaders"])
    for rule in (configured, redirected):
        assert {"ETag", "Content-Range", "Accept-Ranges", "Content-Disposition"} <= set(rule["ExposedHeaders"])
        assert "*" not in rule["AllowedHeaders"]


def test_a_page_redirected_to_the_bucket_may_read_and_nothing_else(template: Any) -> None:
    """After a redirect to another origin a browser says `Origin: null`, whatever page it was."""
    _, redirected = template["Resources"]["Bucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert redirected["AllowedOrigins"] == ["null"]
    assert set(redirected["AllowedMethods"]) == {"GET", "HEAD"}


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
