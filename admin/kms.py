"""KMS keys that the auth function may sign with: its policy requires a tag with the stack's name."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from admin.errors import AdminError
from ferry.aws.errors import error_code, map_errors
from ferry.errors import BackendUnavailable

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

STACK_TAG_KEY = "ferry:stack"
"""Tag whose value is the stack's name."""
_NOT_FOUND_CODES = ("NotFoundException", "InvalidArnException")


def create_key(kms: KMSClient, stack_name: str) -> str:
    """Create a key for ES256 with the stack's tag, and return its ARN."""
    with map_errors():
        created = kms.create_key(
            KeySpec="ECC_NIST_P256",
            KeyUsage="SIGN_VERIFY",
            Description=f"Signs the access tokens of Ferry's stack {stack_name} (ES256).",
            Tags=[{"TagKey": STACK_TAG_KEY, "TagValue": stack_name}],
        )
    return created["KeyMetadata"]["Arn"]


def authorize_key(kms: KMSClient, key_id: str, stack_name: str) -> str:
    """Tag an existing key (id, ARN or alias) for the stack, and return its ARN. Raises `AdminError`: there is none."""
    try:
        with map_errors(*_NOT_FOUND_CODES):
            arn = kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
    except ClientError as error:
        raise AdminError(
            f"KMS has no key {key_id} ({error_code(error)})", "give the id, ARN or alias of a key in the stack's region"
        ) from None
    if stack_name:
        with map_errors():
            kms.tag_resource(KeyId=arn, Tags=[{"TagKey": STACK_TAG_KEY, "TagValue": stack_name}])
    return arn


def creation_time(kms: KMSClient, key_id: str) -> int:
    """Return when the key was created, in epoch milliseconds; 0 if that cannot be read."""
    try:
        with map_errors():
            created: datetime = kms.describe_key(KeyId=key_id)["KeyMetadata"]["CreationDate"]
    except (BackendUnavailable, KeyError):
        return 0
    return int(created.timestamp() * 1000)
