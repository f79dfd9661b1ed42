"""What every cold start is measured against: a function that has made one bare S3 client and does nothing with it."""

from __future__ import annotations

import boto3

client = boto3.client("s3")


def lambda_handler(_event: object, _context: object) -> dict[str, int]:
    return {"statusCode": 204}
