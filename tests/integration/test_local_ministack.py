"""The local tables on a disk that is full for a moment, and after a kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from dev.local import ministack_server
from dev.local.ministack_server import MinistackServer
from dev.local.state import StateFolder
from dev.local.wal_files import log_name, read_state
from tests.support.small_disk import SmallDisk, mount_small_disk

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret-of-the-test"}
TABLE = "table"
ITEM_BYTES = 100_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with mount_small_disk(tmp_path / "disk", 8) as mounted:
        yield mounted


def client_of(server: MinistackServer, service: str) -> Any:
    session = boto3.Session(
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    create: Any = session.client
    return create(service, endpoint_url=server.url, config=Config(retries={"total_max_attempts": 1}))


def put_items(dynamodb: Any, first: int, count: int) -> list[int]:
    """Put items, and return the numbers of those that were acknowledged."""
    acknowledged = []
    for number in range(first, first + count):
        with contextlib.suppress(ClientError):
            dynamodb.put_item(TableName=TABLE, Item={"pk": {"S": str(number)}, "data": {"S": "x" * ITEM_BYTES}})
            acknowledged.append(number)
    return acknowledged


def stored_items(dynamodb: Any) -> list[int]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=TABLE, ProjectionExpression="pk")
    return sorted(int(item["pk"]["S"]) for page in pages for item in page["Items"])


def create_table(dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName=TABLE,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_tables_on_full_disk_lose_nothing_acknowledged(disk: SmallDisk) -> None:
    """A full disk rejects writes and new keys; with space they work without a restart; a kill loses nothing."""

    async def scenario() -> None:
        with contextlib.closing(StateFolder(disk.folder / "state")) as state:
            server = await ministack_server.start(state, CREDENTIALS, ())
            dynamodb, kms = client_of(server, "dynamodb"), client_of(server, "kms")
            await asyncio.to_thread(create_table, dynamodb)
            acknowledged = await asyncio.to_thread(put_items, dynamodb, 0, 5)
            assert acknowledged == [0, 1, 2, 3, 4]
            disk.fill()
            while_full = await asyncio.to_thread(put_items, dynamodb, 100, 30)
            assert len(while_full) < 30
            with pytest.raises(ClientError, match="InternalServerError"):
                await asyncio.to_thread(kms.create_key)
            assert await asyncio.to_thread(stored_items, dynamodb) == [*acknowledged, *while_full]
            disk.free()
            after = await asyncio.to_thread(put_items, dynamodb, 200, 5)
            assert after == [200, 201, 202, 203, 204]
            key_id = (await asyncio.to_thread(kms.create_key))["KeyMetadata"]["KeyId"]
            await server.kill()

            server = await ministack_server.start(state, CREDENTIALS, ())
            dynamodb, kms = client_of(server, "dynamodb"), client_of(server, "kms")
            assert await asyncio.to_thread(stored_items, dynamodb) == [*acknowledged, *while_full, *after]
            assert (await asyncio.to_thread(kms.describe_key, KeyId=key_id))["KeyMetadata"]["KeyId"] == key_id
            await server.kill()

    asyncio.run(scenario())


def free_reserved_space(folder: Path) -> None:
    """Cut the log at the end of what was acknowledged, so that the next write on a full disk fails."""
    state = read_state(folder)
    os.truncate(folder / log_name(state.last_log), state.last_end)


def test_failed_write_of_log_starts_tables_again(disk: SmallDisk) -> None:
    """After a write that failed, the tables begin again with what the log has: nothing unacknowledged is visible."""

    async def scenario() -> None:
        with contextlib.closing(StateFolder(disk.folder / "state")) as state:
            server = await ministack_server.start(state, CREDENTIALS, ())
            dynamodb = client_of(server, "dynamodb")
            await asyncio.to_thread(create_table, dynamodb)
            acknowledged = await asyncio.to_thread(put_items, dynamodb, 0, 2)
            free_reserved_space(state.folder / "dynamodb")
            disk.fill()
            assert await asyncio.to_thread(put_items, dynamodb, 100, 1) == []
            await asyncio.to_thread(wait_until_listed, dynamodb, acknowledged)
            disk.free()
            acknowledged += await asyncio.to_thread(put_items, dynamodb, 200, 2)
            assert await asyncio.to_thread(stored_items, dynamodb) == acknowledged == [0, 1, 200, 201]
            assert server.alive
            await server.kill()

    asyncio.run(scenario())


def wait_until_listed(dynamodb: Any, expected: list[int]) -> None:
    """Wait until the tables answer again, and have these items."""
    for _ in range(100):
        with contextlib.suppress(ClientError, BotoCoreError):
            if stored_items(dynamodb) == expected:
                return
        time.sleep(0.1)
    raise AssertionError(f"the tables do not have {expected}")
