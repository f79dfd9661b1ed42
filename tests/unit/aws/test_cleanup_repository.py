"""The cleanup repository on a table that is throttled or slow, and its cursors."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dev.fakes.clock import START_MS, SettableClock
from ferry.aws import cursors
from ferry.aws import metadata_rows as rows
from ferry.aws.cleanup_repository import DynamoCleanupRepository
from ferry.aws.dynamo import MAX_ATTEMPTS, Table
from ferry.aws.expressions import encode_row
from ferry.errors import BackendUnavailable, InvalidField
from tests.unit.aws.scripted import RecordedSleeps, ScriptedClient, repeat

ID = "a" * 32


def repository(client: ScriptedClient, clock: SettableClock | None = None) -> DynamoCleanupRepository:
    return DynamoCleanupRepository(Table(cast("Any", client), "table", RecordedSleeps()), clock or SettableClock())


def test_object_owners_unprocessed_keys_retried() -> None:
    """Unprocessed keys are read again, and rows that were read before are kept."""
    one, two = (encode_row(rows.object_to_row(letter * 32, ("ns", letter), None)) for letter in "ab")
    unprocessed = {"table": {"Keys": [{"pk": {"S": "rest"}}], "ConsistentRead": True}}
    client = ScriptedClient(
        {"Responses": {"table": [one]}, "UnprocessedKeys": unprocessed},
        {"Responses": {}, "UnprocessedKeys": unprocessed},
        {"Responses": {"table": [two]}, "UnprocessedKeys": {}},
    )
    assert repository(client).get_object_owners(["a" * 32, "b" * 32]) == {"a" * 32: ("ns", "a"), "b" * 32: ("ns", "b")}
    assert [params["RequestItems"] for _, params in client.calls[1:]] == [unprocessed, unprocessed]


def test_object_owners_unread_keys_raise() -> None:
    """An object whose row cannot be read does not count as one without a row."""
    response: dict[str, Any] = {"Responses": {}, "UnprocessedKeys": {"table": {"Keys": []}}}
    client = ScriptedClient(*repeat(response, MAX_ATTEMPTS))
    with pytest.raises(BackendUnavailable):
        repository(client).get_object_owners([ID])


def test_delete_upload_rows_stops_at_deadline() -> None:
    """No page is read after the deadline, and the result says that rows may be left."""
    clock = SettableClock()

    class Slow(ScriptedClient):
        def __getattr__(self, name: str) -> Any:
            clock.advance(1_000)
            return super().__getattr__(name)

    row = {"pk": {"S": "U#x"}, "sk": {"S": "C#0"}}
    client = Slow({"Items": [row], "LastEvaluatedKey": row}, {}, {"Items": [row], "LastEvaluatedKey": row}, {})
    assert not repository(client, clock).delete_upload_rows(ID, deadline=START_MS + 3_000)
    assert client.methods == ["query", "batch_write_item"] * 2
    assert repository(client, clock).delete_upload_rows(ID, deadline=START_MS) is False
    assert len(client.calls) == 4


VALID_CURSOR: list[str | int] = [0, "", "", 0, "done", "", START_MS, "upload", "", 0, "", ""]
SHARD_ID = next(f"{number:032x}" for number in range(100) if rows.due_shard_for(f"{number:032x}") == "2")
OTHER_SHARD_ID = next(f"{number:032x}" for number in range(100) if rows.due_shard_for(f"{number:032x}") == "1")


def test_cursor_resumes_each_shard() -> None:
    """A finished index shard is not queried; a started one continues after its task."""
    client = ScriptedClient(*repeat({"Items": []}, 3))
    cursor = cursors.encode(("due_tasks",), [*VALID_CURSOR[:8], SHARD_ID, *VALID_CURSOR[9:]])
    assert repository(client).list_due_tasks(START_MS, cursor, 10).items == []
    starts = [params.get("ExclusiveStartKey", {}).get("pk") for _, params in client.calls]
    assert starts == [None, {"S": f"U#{SHARD_ID}"}, None]


@pytest.mark.parametrize(
    "values",
    [
        VALID_CURSOR,
        [*VALID_CURSOR[:8], OTHER_SHARD_ID, *VALID_CURSOR[9:]],
        [*VALID_CURSOR[:6], START_MS + 1, "upload", SHARD_ID, *VALID_CURSOR[9:]],
        [*VALID_CURSOR[:6], START_MS, "unknown", SHARD_ID, *VALID_CURSOR[9:]],
        [*VALID_CURSOR[:6], 0, "ended", *VALID_CURSOR[8:]],
        VALID_CURSOR[:9],
    ],
)
def test_cursor_invalid_rejected(values: list[str | int]) -> None:
    """A cursor with a task of another shard, a task that is not due, no task or too few values is rejected."""
    with pytest.raises(InvalidField):
        repository(ScriptedClient()).list_due_tasks(START_MS, cursors.encode(("due_tasks",), values), 10)
