"""KMS keys that the token function may sign with: its policy asks for a tag with the stack's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from admin.errors import AdminError
from ferry.aws.errors import error_code, map_errors

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

STACK_TAG_KEY = "ferry:stack"
_NOT_FOUND_CODES = ("NotFoundException", "InvalidArnException")


def create_key(kms: KMSClient, stack_name: str) -> str:
    """A new key for ES256; its ARN."""
    with map_errors():
        made = kms.create_key(
            KeySpec="ECC_NIST_P256",
            KeyUsage="SIGN_VERIFY",
            Description=f"Signs the access tokens of Ferry's stack {stack_name} (ES256).",
            Tags=[{"TagKey": STACK_TAG_KEY, "TagValue": stack_name}],
        )
    return made["KeyMetadata"]["Arn"]


def authorize_key(kms: KMSClient, key_id: str, stack_name: str) -> str:
    """Let the stack sign with a key that is there, by id, ARN or alias; its ARN. Raises `AdminError`: there is none."""
    try:
        with map_errors(*_NOT_FOUND_CODES):
            arn = kms.describe_key(KeyId=key_id)["KeyMetadata"]["Arn"]
    except ClientError as error:
        raise AdminError(f"KMS has no key {key_id} ({error_code(error)})", "its region is that of the stack") from None
    if stack_name:
        with map_errors():
            kms.tag_resource(KeyId=arn, Tags=[{"TagKey": STACK_TAG_KEY, "TagValue": stack_name}])
    return arn
