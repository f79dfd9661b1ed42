"""One stack for each module: backends and environment as template.yaml describes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import boto3
import pytest
from moto import mock_aws

from tests.integration.stack import Stack, forget_wiring
from tests.support.template import make_bucket, make_table, properties

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "FERRY_LEDGER_TABLE": "ledger",
    "FERRY_ACCESS_TABLE": "access",
    "FERRY_BUCKET": "bucket",
    "FERRY_TOKEN_LIFETIME": "3600",
    "FERRY_ACCESS_CACHE": "45",
    "FERRY_SESSION_IDLE_TIMEOUT": "86400",
    "FERRY_SESSION_MAX_AGE": "604800",
    "FERRY_URL_LIFETIME": "900",
    "FERRY_LEASE": "35",
    "FERRY_MENDING": "12",
    "FERRY_ORPHAN_OBJECT_DAYS": "35",
    "FERRY_MOST_WAITING": "10",
    "FERRY_EVENT_BUS": "bus",
    "FERRY_ENDPOINTS": "",
}


@contextmanager
def new_stack() -> Iterator[Stack]:
    """The functions over empty backends."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        make_table(boto3.client("dynamodb"), "LedgerTable", "ledger")
        make_table(boto3.client("dynamodb"), "AccessTable", "access")
        boto3.client("events").create_event_bus(Name="bus")
        s3 = boto3.client("s3")
        make_bucket(s3, "bucket")
        wanted = properties("SigningKey")
        key = boto3.client("kms").create_key(KeySpec=wanted["KeySpec"], KeyUsage=wanted["KeyUsage"])
        patch.setenv("FERRY_SIGNING_KEY", key["KeyMetadata"]["KeyId"])
        made = Stack()
        made.new_process()
        yield made
        forget_wiring()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One for each module. Its tests share it, so each uses file names of its own."""
    with new_stack() as made:
        yield made
