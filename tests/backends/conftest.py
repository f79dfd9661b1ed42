"""SeaweedFS and DynamoDB Local for all tests here: started once, or, as in `make test-backends`, found running."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from ferry.aws.session import AwsSession
from tests.backends import servers
from tests.support.template import make_bucket, make_table


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of SeaweedFS, or of what FERRY_TEST_S3_ENDPOINT names."""
    if given := os.environ.get("FERRY_TEST_S3_ENDPOINT"):
        yield given
        return
    with servers.seaweedfs(tmp_path_factory.mktemp("s3")) as address:
        yield address


@pytest.fixture(scope="session")
def dynamodb_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of DynamoDB Local, or of what FERRY_TEST_DYNAMODB_ENDPOINT names."""
    if given := os.environ.get("FERRY_TEST_DYNAMODB_ENDPOINT"):
        yield given
        return
    with servers.dynamodb(tmp_path_factory.mktemp("dynamodb")) as address:
        yield address


@pytest.fixture
def ledger_table(dynamodb_endpoint: str) -> Iterator[str]:
    """The name of an empty ledger table on DynamoDB Local."""
    client = AwsSession({"dynamodb": dynamodb_endpoint}).dynamodb
    name = f"ledger-{uuid.uuid4().hex}"
    make_table(client, "LedgerTable", name)
    yield name
    client.delete_table(TableName=name)


@pytest.fixture
def bucket(s3_endpoint: str) -> str:
    """The name of an empty bucket on SeaweedFS."""
    client = AwsSession({"s3": s3_endpoint}).s3
    name = f"bucket-{uuid.uuid4().hex}"
    make_bucket(client, name)
    return name
