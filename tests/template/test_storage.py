"""Tables, bucket and signing key: retention, encryption, access."""

from __future__ import annotations

from typing import Any

import pytest

DAY_SECONDS = 86_400


def test_data_resources_are_retained(template: Any) -> None:
    """Deleting or replacing a stack keeps files, upload records, clients and the signing key."""
    retained_types = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::KMS::Key")
    retained = {name: body for name, body in template["Resources"].items() if body["Type"] in retained_types}
    assert {body["Type"] for body in retained.values()} == set(retained_types)
    for name, body in retained.items():
        # A first deployment that fails leaves nothing behind; later deletions keep the resource.
        assert body["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert body["UpdateReplacePolicy"] == "Retain", name


def test_deletion_protection_follows_parameter(template: Any) -> None:
    """One parameter protects every table from deletion; it is off by default, so that a failed creation rolls back."""
    tables = [body for body in template["Resources"].values() if body["Type"] == "AWS::DynamoDB::Table"]
    assert len(tables) == 2
    for table in tables:
        assert table["Properties"]["DeletionProtectionEnabled"] == {"Fn::If": ["DeletionProtected", True, False]}
    enabled = {"Fn::Equals": [{"Ref": "EnableDeletionProtection"}, "true"]}
    assert template["Conditions"]["DeletionProtected"] == enabled
    assert template["Parameters"]["EnableDeletionProtection"]["Default"] == "false"


def test_lifecycle_rules_exceed_max_upload_age(template: Any) -> None:
    """Lifecycle rules count from creation, so they exceed the maximum age of an upload. Finished files never expire."""
    oldest_days = template["Parameters"]["UploadMaxAgeSeconds"]["MaxValue"] / DAY_SECONDS
    rules = template["Resources"]["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    by_prefix = {rule["Prefix"]: rule for rule in rules}
    assert set(by_prefix) == {"o/", "st/"}
    assert by_prefix["o/"]["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] > oldest_days
    assert by_prefix["st/"]["ExpirationInDays"] > oldest_days
    assert "ExpirationInDays" not in by_prefix["o/"]
    assert all(rule["Status"] == "Enabled" for rule in rules)


def test_metadata_table_has_ttl(template: Any) -> None:
    """The metadata table has a TTL attribute, the auth table none."""
    metadata_table = template["Resources"]["MetadataTable"]["Properties"]
    assert metadata_table["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
    assert "TimeToLiveSpecification" not in template["Resources"]["AuthTable"]["Properties"]


@pytest.mark.parametrize("table", ["MetadataTable", "AuthTable"])
def test_tables_have_point_in_time_recovery(template: Any, table: str) -> None:
    """Tables have point-in-time recovery, encryption and on-demand billing."""
    properties = template["Resources"][table]["Properties"]
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert properties["SSESpecification"]["SSEEnabled"] is True
    assert properties["BillingMode"] == "PAY_PER_REQUEST"


def test_declared_attributes_are_keys(template: Any) -> None:
    """The declared attributes are exactly those of the keys, as DynamoDB requires."""
    for table in ("MetadataTable", "AuthTable"):
        properties = template["Resources"][table]["Properties"]
        schemas = [
            properties["KeySchema"],
            *(index["KeySchema"] for index in properties.get("GlobalSecondaryIndexes", [])),
        ]
        used = {key["AttributeName"] for schema in schemas for key in schema}
        assert {attribute["AttributeName"] for attribute in properties["AttributeDefinitions"]} == used


def test_bucket_blocks_public_access(template: Any) -> None:
    """The bucket blocks public access and ACLs, and encrypts its objects."""
    properties = template["Resources"]["Bucket"]["Properties"]
    assert all(properties["PublicAccessBlockConfiguration"].values())
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (encryption,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms")


def test_bucket_policy_denies_insecure_requests(template: Any) -> None:
    """The policy denies plain HTTP, TLS below 1.2 and signatures older than any presigned URL; it allows nothing."""
    policy = template["Resources"]["BucketPolicy"]["Properties"]
    assert policy["Bucket"] == {"Ref": "Bucket"}
    statements = policy["PolicyDocument"]["Statement"]
    max_age_ms = template["Parameters"]["PresignedUrlTtlSeconds"]["MaxValue"] * 1000
    assert [statement["Condition"] for statement in statements] == [
        {"Bool": {"aws:SecureTransport": "false"}},
        {"NumericLessThan": {"s3:TlsVersion": "1.2"}},
        {"NumericGreaterThan": {"s3:signatureAge": str(max_age_ms)}},
    ]
    assert statements
    for statement in statements:
        assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
        assert {"Fn::Sub": "${Bucket.Arn}/*"} in [statement["Resource"], *statement["Resource"]]


def test_bucket_cors_allows_every_origin(template: Any) -> None:
    """Every origin may use a presigned URL and read every header of a download: the signature is the authority."""
    (rule,) = template["Resources"]["Bucket"]["Properties"]["CorsConfiguration"]["CorsRules"]
    assert rule["AllowedOrigins"] == ["*"]
    assert template["Resources"]["Api"]["Properties"]["CorsConfiguration"]["AllowOrigins"] == {"Ref": "CorsOrigins"}
    assert set(rule["AllowedMethods"]) == {"GET", "HEAD", "PUT"}
    assert {"range", "if-range", "x-amz-checksum-crc32c"} <= set(rule["AllowedHeaders"])
    assert {"ETag", "Content-Range", "Accept-Ranges", "Content-Disposition"} <= set(rule["ExposedHeaders"])
    assert "*" not in rule["AllowedHeaders"]


def test_signing_key_is_kms_ecc(template: Any) -> None:
    """The signing key is an ES256 key pair in KMS."""
    properties = template["Resources"]["SigningKey"]["Properties"]
    assert (properties["KeySpec"], properties["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")


@pytest.mark.parametrize(
    "name",
    ["TokenTtlSeconds", "UploadIdleTimeoutSeconds", "UploadMaxAgeSeconds", "PresignedUrlTtlSeconds", "CleanupSchedule"],
)
def test_tunable_is_a_parameter_with_default(template: Any, name: str) -> None:
    """The limit is a parameter with a default."""
    assert "Default" in template["Parameters"][name]


def test_defaults_match_documented_limits(template: Any) -> None:
    """An upload expires after 24 idle hours or 7 days, a presigned URL after 15 minutes."""
    defaults = {name: spec.get("Default") for name, spec in template["Parameters"].items()}
    assert defaults["UploadIdleTimeoutSeconds"] == 24 * 3600
    assert defaults["UploadMaxAgeSeconds"] == 7 * DAY_SECONDS
    assert defaults["PresignedUrlTtlSeconds"] == 15 * 60
