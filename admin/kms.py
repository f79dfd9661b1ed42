"""KMS keys that the token function may sign with: its policy asks for a tag with the stack's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from admin.errors import AdminError
from ferry.aws.errors import code_of, translated

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

TAG = "ferry:stack"
_ABSENT = ("NotFoundException", "InvalidArnException")


def create(kms: KMSClient, stack: str) -> str:
    """A new key for ES256; its ARN."""
    with translated():
        made = kms.create_key(
            KeySpec="ECC_NIST_P256",
            KeyUsage="SIGN_VERIFY",
            Description=f"Signs the access tokens of Ferry's stack {stack} (ES256).",
            Tags=[{"TagKey": TAG, "TagValue": stack}],
        )
    return made["KeyMetadata"]["Arn"]


def adopt(kms: KMSClient, key: str, stack: str) -> str:
    """Let the stack sign with a key that is there, by id, ARN or alias; its ARN. Raises `AdminError`: there is none."""
    try:
        with translated(*_ABSENT):
            arn = kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
    except ClientError as error:
        raise AdminError(f"KMS has no key {key} ({code_of(error)})", "its region is that of the stack") from None
    if stack:
        with translated():
            kms.tag_resource(KeyId=arn, Tags=[{"TagKey": TAG, "TagValue": stack}])
    return arn
