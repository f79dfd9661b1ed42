"""The reference of the cold start benchmark: a function that creates an S3 client and does not use it."""

from __future__ import annotations

import boto3

client = boto3.client("s3")


def lambda_handler(_event: object, _context: object) -> dict[str, int]:
    return {"statusCode": 204}
