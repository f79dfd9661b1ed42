"""Tables, bucket and key: what must outlive a mistake, and what must not outlive its use."""

from __future__ import annotations

from typing import Any

import pytest

DAY_SECONDS = 86_400


def test_data_resources_are_retained(template: Any) -> None:
    """A deleted or replaced stack must not take files, sessions, clients or the signing key with it."""
    lasting = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key")
    kept = {name: body for name, body in template["Resources"].items() if body["Type"] in lasting}
    assert {body["Type"] for body in kept.values()} == set(lasting)
    for name, body in kept.items():
        # A first deploy that fails leaves nothing behind; after that everything stays.
        assert body["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert body["UpdateReplacePolicy"] == "Retain", name


def test_lifecycle_rules_exceed_max_upload_age(template: Any) -> None:
    """They count from creation: within the greatest age of a session they would delete bytes of a live one."""
    oldest_days = template["Parameters"]["UploadMaxAgeSeconds"]["MaxValue"] / DAY_SECONDS
    rules = template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    by_prefix = {rule["Prefix"]: rule for rule in rules}
    assert set(by_prefix) == {"o/", "st/"}
    assert by_prefix["o/"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] > oldest_days
    assert by_prefix["st/"]["ExpirationInDays"] > oldest_days
    assert "ExpirationInDays" not in by_prefix["o/"], "finished files never expire"
    assert all(rule["Status"] == "Enabled" for rule in rules)


def test_metadata_table_has_ttl(template: Any) -> None:
    """The ledger's TTL attribute, and none on the clients' table."""
    ledger = template["Resources"]["MetadataTable"]["Properties"]
    assert ledger["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert "TimeToLiveSpecification" not in template["Resources"]["AuthTable"]["Properties"]


@pytest.mark.parametrize("table", ["MetadataTable", "AuthTable"])
def test_tables_have_point_in_time_recovery(template: Any, table: str) -> None:
    """To any second of the last weeks; encrypted, and paid by use."""
    properties = template["Resources"][table]["Properties"]
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["SSESpecification"]["SSEEnabled"] is True
    assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_declared_attributes_are_keys(template: Any) -> None:
    """DynamoDB refuses a table whose declared attributes are not exactly those of its keys."""
    for table in ("MetadataTable", "AuthTable"):
        properties = template["Resources"][table]["Properties"]
        schemas = [
            properties["KeySchema"],
            *(index["KeySchema"] for index in properties.get("GlobalSecondaryIndexes", [])),
        ]
        used = {key["AttributeName"] for schema in schemas for key in schema}
        assert {attribute["AttributeName"] for attribute in properties["AttributeDefinitions"]} == used


def test_bucket_blocks_public_access(template: Any) -> None:
    """No public access, no ACLs; what is stored is encrypted."""
    properties = template["Resources"]["Bucket"]["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms")


def test_bucket_policy_denies_insecure_requests(template: Any) -> None:
    """Plain HTTP, TLS before 1.2, and signatures older than any URL may become; its policy allows nothing."""
    policy = template["Resources"]["BucketPolicy"]["Properties"]
    assert policy["Bucket"] == {"Ref": "Bucket"}
    statements = policy["PolicyDocument"]["Statement"]
    longest = template["Parameters"]["PresignedUrlTtlSeconds"]["MaxValue"] * 1000
    assert [statement["Condition"] for statement in statements] == [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        {"NumericGreaterThan": {"s3:signatureAge": str(longest)}},
    ]
    for statement in statements:
        assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
        assert {"Fn::Sub": "${Bucket.Arn}/*"} in [statement["Resource"], *statement["Resource"]]


def test_bucket_cors_allows_configured_origins(template: Any) -> None:
    """Those of the API's parameter, and no others, may write; they may read every header that a download has."""
    configured, redirected = template["Resources"]["Bucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert configured["AllowedOrigins"] == {"Ref": "CorsOrigins"}
    assert template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["AllowOrigins"] == {"Ref": "CorsOrigins"}
    assert set(configured["AllowedMethods"]) == {"GET", "HEAD", "PUT"}
    assert {"range", "if-range", "x-amz-checksum-crc32c"} <= set(configured["AllowedHeaders"])
    for rule in (configured, redirected):
        assert {"ETag", "Content-Range", "Accept-Ranges", "Content-Disposition"} <= set(rule["ExposedHeaders"])
        assert "*" not in rule["AllowedHeaders"]


def test_bucket_cors_allows_null_origin_to_read_only(template: Any) -> None:
    """After a redirect to another origin a browser says `Origin: null`, whatever page it was."""
    _, redirected = template["Resources"]["Bucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert redirected["AllowedOrigins"] == ["null"]
    assert set(redirected["AllowedMethods"]) == {"GET", "HEAD"}


def test_signing_key_is_kms_ecc(template: Any) -> None:
    """An ES256 key pair inside KMS."""
    properties = template["Resources"]["SigningKey"]["Properties"]
    assert (properties["KeySpec"], properties["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")


@pytest.mark.parametrize(
    "name",
    ["TokenTtlSeconds", "UploadIdleTimeoutSeconds", "UploadMaxAgeSeconds", "PresignedUrlTtlSeconds", "CleanupSchedule"],
)
def test_tunable_is_a_parameter_with_default(template: Any, name: str) -> None:
    """With a default, so that nothing need be tuned."""
    assert "Default" in template["Parameters"][name]


def test_defaults_match_documented_limits(template: Any) -> None:
    """24 hours idle, 7 days in all, URLs of 15 minutes."""
    defaults = {name: spec.get("Default") for name, spec in template["Parameters"].items()}
    assert defaults["UploadIdleTimeoutSeconds"] == 24 * 3600
    assert defaults["UploadMaxAgeSeconds"] == 7 * DAY_SECONDS
    assert defaults["PresignedUrlTtlSeconds"] == 15 * 60
