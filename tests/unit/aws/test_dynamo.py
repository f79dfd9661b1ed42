"""How a table is spoken to when it is busy, away, or has other conditions."""

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
    """A conflict passes: the same writes under the same token, after a pause that grows."""
    pauses = RecordedSleeps()
    client = ScriptedClient(
        transaction_canceled("None", "TransactionConflict"), client_error("TransactionInProgressException"), {}
    )
    table(client, pauses).transact_write([WRITE, WRITE])
    assert client.methods == ["transact_write_items"] * 3
    assert client.calls[0][1] == client.calls[1][1] == client.calls[2][1]
    assert len(client.calls[0][1]["ClientRequestToken"]) == 36
    assert len(pauses) == 2


def test_transact_repeated_uses_new_token() -> None:
    """The same writes asked for twice are two transactions."""
    client = ScriptedClient({}, {})
    for _ in range(2):
        table(client).transact_write([WRITE])
    assert client.calls[0][1]["ClientRequestToken"] != client.calls[1][1]["ClientRequestToken"]


@pytest.mark.parametrize(
    "reasons", [["ConditionalCheckFailed"], ["None", "TransactionConflict", "ConditionalCheckFailed"]]
)
def test_transact_failed_condition_raises_concurrent_update(reasons: list[str]) -> None:
    """It is not asked again, whatever else was in the way."""
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
    """A table that stays busy has too much to do, whether it was to be read or written."""
    asked: list[Callable[[Table], object]] = [
        lambda busy: busy.transact_write([WRITE]),
        lambda busy: busy.get(("a", "b")),
        lambda busy: busy.write(WRITE),
        lambda busy: busy.transact_get([("a", "b")]),
    ]
    for ask in asked:
        client = ScriptedClient(*repeat(error, 100))
        with pytest.raises(Throttled):
            ask(table(client))
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
    """Other failures are reported at once, with their cause, and without the backend's words."""
    client = ScriptedClient(error, error)
    asked: list[Callable[[], object]] = [
        lambda: table(client).transact_write([WRITE]),
        lambda: table(client).get(("a", "b")),
    ]
    for ask in asked:
        with pytest.raises(BackendUnavailable) as unavailable:
            ask()
        assert unavailable.value.__cause__ is error
        assert not isinstance(unavailable.value, Throttled)
        assert "script" not in str(unavailable.value)
    assert len(client.calls) == 2


def test_write_on_transaction_conflict_retries() -> None:
    """A single write conflicts with a transaction under way, and waits for it."""
    client = ScriptedClient(client_error("TransactionConflictException"), {"Attributes": {"a": {"N": "5"}}})
    assert table(client).write(update(("a", "b"), {"a": 5}, condition="attribute_exists(#pk)")) == {"a": 5}


def test_write_failed_condition_carries_row() -> None:
    """The row as it stands comes with the refusal, if there is one."""
    item = {"pk": {"S": "a"}, "n": {"N": "5"}}
    write = update(("a", "b"), {"a": 5}, condition="attribute_exists(#pk)")
    for more, expected in (({"Item": item}, {"pk": "a", "n": 5}), ({}, None)):
        with pytest.raises(ConditionFailed) as failed:
            table(ScriptedClient(client_error("ConditionalCheckFailedException", **more))).write(write)
        assert failed.value.row == expected


def test_batch_delete_retries_unprocessed_items() -> None:
    """Rows that DynamoDB did not get to are sent again; 25 at most at once."""
    left = {"table": [{"DeleteRequest": {"Key": {"pk": {"S": "3"}, "sk": {"S": "x"}}}}]}
    client = ScriptedClient({"UnprocessedItems": left}, {"UnprocessedItems": {}}, {})
    table(client).batch_delete((str(number), "x") for number in range(30))
    assert [len(params["RequestItems"]["table"]) for _, params in client.calls] == [25, 1, 5]
    with pytest.raises(BackendUnavailable):
        table(ScriptedClient(*repeat({"UnprocessedItems": left}, 100))).batch_delete([("3", "x")])


def test_values_round_trip() -> None:
    """Every kind of value that rows hold, and none that they do not."""
    row = {"s": "ü", "n": -5, "big": 2**53, "t": True, "b": b"\x00", "set": frozenset({1, 20}), "m": {"x": "", "y": 0}}
    assert decode_row(encode_row(row | {"absent": None})) == row
    with pytest.raises(TypeError):
        encode(1.5)


def test_put_chunk_digest_rejected_without_row_is_not_accepted() -> None:
    """Should a refusal come without the row, the claim is not taken for granted."""
    repository = DynamoUploadRepository(
        table(ScriptedClient(client_error("ConditionalCheckFailedException"))), lambda: 0
    )
    assert repository.put_chunk_digest("id", 1, 1, ChunkDigest(bytes(16), 0)) == {}
