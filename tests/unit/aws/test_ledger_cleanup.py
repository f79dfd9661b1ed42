"""What the clean-up asks of a table that is busy, slow, or shown a cursor that it has not given."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ferry.aws import cursors
from ferry.aws import ledger_rows as rows
from ferry.aws.dynamo import TRIES, Table
from ferry.aws.expressions import encode_row
from ferry.aws.ledger_cleanup import CleanupRows
from ferry.errors import BackendUnavailable, InvalidField
from tests.fakes.clock import START, SettableClock
from tests.unit.aws.scripted import Pauses, ScriptedClient, repeat

ID = "a" * 32


def ledger(client: ScriptedClient, clock: SettableClock | None = None) -> CleanupRows:
    return CleanupRows(Table(cast("Any", client), "table", Pauses()), clock or SettableClock())


def test_keys_that_were_not_read_are_asked_for_again() -> None:
    """Until all have been; what was read before is not lost."""
    one, two = (encode_row(rows.object_row(letter * 32, ("ns", letter), None)) for letter in "ab")
    left = {"table": {"Keys": [{"pk": {"S": "rest"}}], "ConsistentRead": True}}
    client = ScriptedClient(
        {"Responses": {"table": [one]}, "UnprocessedKeys": left},
        {"Responses": {}, "UnprocessedKeys": left},
        {"Responses": {"table": [two]}, "UnprocessedKeys": {}},
    )
    assert ledger(client).owners(["a" * 32, "b" * 32]) == {"a" * 32: ("ns", "a"), "b" * 32: ("ns", "b")}
    assert [params["RequestItems"] for _, params in client.calls[1:]] == [left, left]


def test_keys_that_are_never_read_end_in_an_error() -> None:
    """An object whose row could not be read must not pass for one that has none."""
    answer: dict[str, Any] = {"Responses": {}, "UnprocessedKeys": {"table": {"Keys": []}}}
    client = ScriptedClient(*repeat(answer, TRIES))
    with pytest.raises(BackendUnavailable):
        ledger(client).owners([ID])


def test_rows_are_erased_only_while_there_is_time() -> None:
    """A hundred at a time; nothing is begun after the deadline, and the answer says that something may be left."""
    clock = SettableClock()

    class Slow(ScriptedClient):
        def __getattr__(self, name: str) -> Any:
            clock.advance(1_000)
            return super().__getattr__(name)

    row = {"pk": {"S": "U#x"}, "sk": {"S": "C#0"}}
    client = Slow({"Items": [row], "LastEvaluatedKey": row}, {}, {"Items": [row], "LastEvaluatedKey": row}, {})
    assert not ledger(client, clock).erase_rows(ID, until=START + 3_000)
    assert client.methods == ["query", "batch_write_item"] * 2
    assert ledger(client, clock).erase_rows(ID, until=START) is False
    assert len(client.calls) == 4


GOOD: list[str | int] = [0, "", "", 0, "done", "", START, "session", "", 0, "", ""]
SHARD = next(f"{number:032x}" for number in range(100) if rows.shard_of(f"{number:032x}") == "2")
OTHER = next(f"{number:032x}" for number in range(100) if rows.shard_of(f"{number:032x}") == "1")


def test_a_cursor_names_a_place_in_each_shard() -> None:
    """One that is done is not asked, one that has begun goes on after its entry."""
    client = ScriptedClient(*repeat({"Items": []}, 3))
    cursor = cursors.encode(("due",), [*GOOD[:8], SHARD, *GOOD[9:]])
    assert ledger(client).due(START, cursor, 10).items == []
    starts = [params.get("ExclusiveStartKey", {}).get("pk") for _, params in client.calls]
    assert starts == [None, {"S": f"U#{SHARD}"}, None]


@pytest.mark.parametrize(
    "at",
    [
        GOOD,
        [*GOOD[:8], OTHER, *GOOD[9:]],
        [*GOOD[:6], START + 1, "session", SHARD, *GOOD[9:]],
        [*GOOD[:6], START, "nothing", SHARD, *GOOD[9:]],
        [*GOOD[:6], 0, "ended", *GOOD[8:]],
        GOOD[:9],
    ],
)
def test_a_cursor_that_was_not_given(at: list[str | int]) -> None:
    """Another shard's entry, one that is not due yet, no entry, or too few of them."""
    with pytest.raises(InvalidField):
        ledger(ScriptedClient()).due(START, cursors.encode(("due",), at), 10)
