"""Retries, errors and values of a DynamoDB table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from ferry.aws.dynamo import MAX_ATTEMPTS, ConditionFailed, Table
from ferry.aws.expressions import decode_row, encode, encode_row, put, update
from ferry.aws.upload_repository import DynamoUploadRepository
from ferry.errors import BackendUnavailable, Throttled
from ferry.model.uploads import ChunkDigest
from ferry.ports.errors import ConcurrentUpdate
from tests.unit.aws.scripted import RecordedSleeps, ScriptedClient, client_error, repeat, transaction_canceled

WRITE = put({"pk": "a", "sk": "b"})


def table(client: ScriptedClient, sleeps: RecordedSleeps | None = None) -> Table:
    return Table(cast("Any", client), "table", RecordedSleeps() if sleeps is None else sleeps)


def test_transact_on_conflict_retries_with_same_token() -> None:
    """After a conflict the same writes are sent again with the same token, after a pause."""
    sleeps = RecordedSleeps()
    client = ScriptedClient(
        transaction_canceled("None", "TransactionConflict"), client_error("TransactionInProgressException"), {}
    )
    table(client, sleeps).transact_write([WRITE, WRITE])
    assert client.methods == ["transact_write_items"] * 3
    assert client.calls[0][1] == client.calls[1][1] == client.calls[2][1]
    assert len(client.calls[0][1]["ClientRequestToken"]) == 36
    assert len(sleeps) == 2


def test_transact_repeated_uses_new_token() -> None:
    """Two equal transactions have different tokens."""
    client = ScriptedClient({}, {})
    for _ in range(2):
        table(client).transact_write([WRITE])
    assert client.calls[0][1]["ClientRequestToken"] != client.calls[1][1]["ClientRequestToken"]


@pytest.mark.parametrize(
    "reasons", [["ConditionalCheckFailed"], ["None", "TransactionConflict", "ConditionalCheckFailed"]]
)
def test_transact_failed_condition_raises_concurrent_update(reasons: list[str]) -> None:
    """A failed condition is not retried, whatever other reasons there are."""
    client = ScriptedClient(transaction_canceled(*reasons))
    with pytest.raises(ConcurrentUpdate):
        table(client).transact_write([WRITE])
    assert len(client.calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        transaction_canceled("TransactionConflict"),
        transaction_canceled("ThrottlingError", "ProvisionedThroughputExceeded"),
        client_error("ThrottlingException"),
        client_error("ProvisionedThroughputExceededException"),
    ],
)
def test_busy_table_raises_throttled_after_max_attempts(error: Exception) -> None:
    """Transient errors that persist raise Throttled, for reads and writes."""
    operations: list[Callable[[Table], object]] = [
        lambda busy: busy.transact_write([WRITE]),
        lambda busy: busy.get(("a", "b")),
        lambda busy: busy.write(WRITE),
        lambda busy: busy.transact_get([("a", "b")]),
    ]
    for operation in operations:
        client = ScriptedClient(*repeat(error, 100))
        with pytest.raises(Throttled):
            operation(table(client))
        assert len(client.calls) == MAX_ATTEMPTS


@pytest.mark.parametrize(
    "error",
    [
        transaction_canceled("ValidationError"),
        client_error("ValidationException"),
        client_error("AccessDeniedException"),
        client_error("InternalServerError"),
        EndpointConnectionError(endpoint_url="http://nowhere.invalid"),
    ],
)
def test_permanent_error_not_retried(error: Exception) -> None:
    """Any other error is raised at once, with its cause and without AWS's message."""
    client = ScriptedClient(error, error)
    operations: list[Callable[[], object]] = [
        lambda: table(client).transact_write([WRITE]),
        lambda: table(client).get(("a", "b")),
    ]
    for operation in operations:
        with pytest.raises(BackendUnavailable) as unavailable:
            operation()
        assert unavailable.value.__cause__ is error
        assert not isinstance(unavailable.value, Throttled)
        assert "scripted" not in str(unavailable.value)
    assert len(client.calls) == 2


def test_write_on_transaction_conflict_retries() -> None:
    """A single write that conflicts with a transaction is retried."""
    client = ScriptedClient(client_error("TransactionConflictException"), {"Attributes": {"a": {"N": "5"}}})
    assert table(client).write(update(("a", "b"), {"a": 5}, condition="attribute_exists(#pk)")) == {"a": 5}


def test_write_failed_condition_carries_row() -> None:
    """A failed condition carries the stored row, if there is one."""
    item = {"pk": {"S": "a"}, "n": {"N": "5"}}
    write = update(("a", "b"), {"a": 5}, condition="attribute_exists(#pk)")
    for more, expected in (({"Item": item}, {"pk": "a", "n": 5}), ({}, None)):
        with pytest.raises(ConditionFailed) as failed:
            table(ScriptedClient(client_error("ConditionalCheckFailedException", **more))).write(write)
        assert failed.value.row == expected


def test_batch_delete_retries_unprocessed_items() -> None:
    """Rows are deleted 25 at a time, and unprocessed ones again."""
    unprocessed = {"table": [{"DeleteRequest": {"Key": {"pk": {"S": "3"}, "sk": {"S": "x"}}}}]}
    client = ScriptedClient({"UnprocessedItems": unprocessed}, {"UnprocessedItems": {}}, {})
    table(client).batch_delete((str(number), "x") for number in range(30))
    assert [len(params["RequestItems"]["table"]) for _, params in client.calls] == [25, 1, 5]
    with pytest.raises(BackendUnavailable):
        table(ScriptedClient(*repeat({"UnprocessedItems": unprocessed}, 100))).batch_delete([("3", "x")])


def test_values_round_trip() -> None:
    """Every type of value that rows hold is decoded as it was; other types raise TypeError."""
    row = {
        "text": "ü",
        "number": -5,
        "large": 2**53,
        "flag": True,
        "bytes": b"\x00",
        "set": frozenset({1, 20}),
        "map": {"x": "", "y": 0},
        "list": ["a", {"b": 1}],
    }
    assert decode_row(encode_row(row | {"absent": None})) == row
    with pytest.raises(TypeError):
        encode(1.5)


def test_put_chunk_digest_rejected_without_row_is_not_accepted() -> None:
    """If a failed condition carries no row, the chunk's digest does not count as stored."""
    repository = DynamoUploadRepository(
        table(ScriptedClient(client_error("ConditionalCheckFailedException"))), lambda: 0
    )
    assert repository.put_chunk_digest("id", 1, 1, ChunkDigest(bytes(16), 0)) == {}
