"""A stack for each module: moto backends and an environment as template.yaml describes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
import pytest
from moto import mock_aws

from dev.testing.function_environment import FUNCTION_ENVIRONMENT
from dev.testing.template import create_bucket, create_table, resource_properties
from tests.integration.stack import Stack, clear_wiring_caches

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    **FUNCTION_ENVIRONMENT,
    "FERRY_MAX_LONG_POLLS": "10",
    "FERRY_EVENT_BUS": "bus",
    "FERRY_ENDPOINTS": "",
}


@cache
def backend_client(service: str) -> Any:
    """Return the client that prepares the backends of all stacks. Each `mock_aws` intercepts existing clients too."""
    return boto3.Session().client(service)  # type: ignore[call-overload]


@contextmanager
def new_stack() -> Iterator[Stack]:
    """Yield the functions over empty backends."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        create_table(backend_client("dynamodb"), "MetadataTable", "metadata")
        create_table(backend_client("dynamodb"), "AuthTable", "auth")
        backend_client("events").create_event_bus(Name="bus")
        create_bucket(backend_client("s3"), "bucket")
        key_properties = resource_properties("SigningKey")
        key = backend_client("kms").create_key(KeySpec=key_properties["KeySpec"], KeyUsage=key_properties["KeyUsage"])
        patch.setenv("FERRY_SIGNING_KEY_ID", key["KeyMetadata"]["KeyId"])
        stack = Stack()
        stack.new_process()
        yield stack
        clear_wiring_caches()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Yield one stack for all tests of a module. Each test uses filenames of its own."""
    with new_stack() as stack:
        yield stack
