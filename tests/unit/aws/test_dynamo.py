"""How a table is spoken to when it is busy, away, or has other conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError

from ferry.aws.dynamo import TRIES, ConditionFailed, Table
from ferry.aws.expressions import decode_row, encode, encode_row, put, update
from ferry.aws.ledger import DynamoLedger
from ferry.errors import BackendUnavailable, Throttled
from ferry.model import Claim
from ferry.ports import Moved
from tests.unit.aws.scripted import Pauses, ScriptedClient, canceled, refused, repeat

WRITE = put({"pk": "a", "sk": "b"})


def table(client: ScriptedClient, pauses: Pauses | None = None) -> Table:
    return Table(cast("Any", client), "table", Pauses() if pauses is None else pauses)


def test_a_transaction_that_met_another_is_asked_again() -> None:
    """A conflict passes: the same writes under the same token, after a pause that grows."""
    pauses = Pauses()
    client = ScriptedClient(canceled("None", "TransactionConflict"), refused("TransactionInProgressException"), {})
    table(client, pauses).transact([WRITE, WRITE])
    assert client.methods == ["transact_write_items"] * 3
    assert client.calls[0][1] == client.calls[1][1] == client.calls[2][1]
    assert len(client.calls[0][1]["ClientRequestToken"]) == 36
    assert len(pauses) == 2


def test_each_transaction_has_a_token_of_its_own() -> None:
    """The same writes asked for twice are two transactions."""
    client = ScriptedClient({}, {})
    for _ in range(2):
        table(client).transact([WRITE])
    assert client.calls[0][1]["ClientRequestToken"] != client.calls[1][1]["ClientRequestToken"]


@pytest.mark.parametrize(
    "reasons", [["ConditionalCheckFailed"], ["None", "TransactionConflict", "ConditionalCheckFailed"]]
)
def test_a_failed_condition_in_a_transaction_is_moved(reasons: list[str]) -> None:
    """It is not asked again, whatever else was in the way."""
    client = ScriptedClient(canceled(*reasons))
    with pytest.raises(Moved):
        table(client).transact([WRITE])
    assert len(client.calls) == 1


@pytest.mark.parametrize(
    "error",
    [
        canceled("TransactionConflict"),
        canceled("ThrottlingError", "ProvisionedThroughputExceeded"),
        refused("ThrottlingException"),
        refused("ProvisionedThroughputExceededException"),
    ],
)
def test_patience_ends(error: Exception) -> None:
    """A table that stays busy has too much to do, whether it was to be read or written."""
    asked: list[Callable[[Table], object]] = [
        lambda busy: busy.transact([WRITE]),
        lambda busy: busy.get(("a", "b")),
        lambda busy: busy.write(WRITE),
        lambda busy: busy.get_together([("a", "b")]),
    ]
    for ask in asked:
        client = ScriptedClient(*repeat(error, 100))
        with pytest.raises(Throttled):
            ask(table(client))
        assert len(client.calls) == TRIES


@pytest.mark.parametrize(
    "error",
    [
        canceled("ValidationError"),
        refused("ValidationException"),
        refused("AccessDeniedException"),
        refused("InternalServerError"),
        EndpointConnectionError(endpoint_url="http://nowhere.invalid"),
    ],
)
def test_what_time_does_not_mend(error: Exception) -> None:
    """Other failures are reported at once, with their cause, and without the backend's words."""
    client = ScriptedClient(error, error)
    asked: list[Callable[[], object]] = [
        lambda: table(client).transact([WRITE]),
        lambda: table(client).get(("a", "b")),
    ]
    for ask in asked:
        with pytest.raises(BackendUnavailable) as unavailable:
            ask()
        assert unavailable.value.__cause__ is error
        assert not isinstance(unavailable.value, Throttled)
        assert "script" not in str(unavailable.value)
    assert len(client.calls) == 2


def test_an_update_that_meets_a_transaction_is_asked_again() -> None:
    """A single write conflicts with a transaction under way, and waits for it."""
    client = ScriptedClient(refused("TransactionConflictException"), {"Attributes": {"a": {"N": "5"}}})
    assert table(client).write(update(("a", "b"), {"a": 5}, when="attribute_exists(#pk)")) == {"a": 5}


def test_a_failed_condition_has_the_row() -> None:
    """The row as it stands comes with the refusal, if there is one."""
    item = {"pk": {"S": "a"}, "n": {"N": "5"}}
    write = update(("a", "b"), {"a": 5}, when="attribute_exists(#pk)")
    for more, expected in (({"Item": item}, {"pk": "a", "n": 5}), ({}, None)):
        with pytest.raises(ConditionFailed) as failed:
            table(ScriptedClient(refused("ConditionalCheckFailedException", **more))).write(write)
        assert failed.value.row == expected


def test_batches_go_on_with_what_was_left() -> None:
    """Rows that DynamoDB did not get to are sent again; 25 at most at once."""
    left = {"table": [{"DeleteRequest": {"Key": {"pk": {"S": "3"}, "sk": {"S": "x"}}}}]}
    client = ScriptedClient({"UnprocessedItems": left}, {"UnprocessedItems": {}}, {})
    table(client).erase((str(number), "x") for number in range(30))
    assert [len(params["RequestItems"]["table"]) for _, params in client.calls] == [25, 1, 5]
    with pytest.raises(BackendUnavailable):
        table(ScriptedClient(*repeat({"UnprocessedItems": left}, 100))).erase([("3", "x")])


def test_values_round_trip() -> None:
    """Every kind of value that rows hold, and none that they do not."""
    row = {"s": "ü", "n": -5, "big": 2**53, "t": True, "b": b"\x00", "set": frozenset({1, 20}), "m": {"x": "", "y": 0}}
    assert decode_row(encode_row(row | {"absent": None})) == row
    with pytest.raises(TypeError):
        encode(1.5)


def test_a_claim_whose_row_is_not_told() -> None:
    """Should a refusal come without the row, the claim is not taken for granted."""
    ledger = DynamoLedger(cast("Any", ScriptedClient(refused("ConditionalCheckFailedException"))), "table", lambda: 0)
    assert ledger.claim("id", 1, 1, Claim(bytes(16), 0)) == {}
