"""The row of the permits: what one write removes, and how large condition and row become."""

from __future__ import annotations

from typing import Any, cast

import pytest

from dev.fakes.clock import START_MS
from dev.testing.item_sizes import row_bytes
from ferry.aws.dynamo import ConditionFailed, Table
from ferry.aws.expressions import Row, Write
from ferry.aws.permits import DynamoPermitPool

MAX_EXPRESSION_BYTES = 4_096
RANDOM_RANGE = 10**9


class FullTable:
    """A table that rejects each conditional write with the row as it is, and keeps the other writes."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.writes: list[Write] = []

    def write(self, write: Write) -> Row:
        self.writes.append(write)
        if "ConditionExpression" in write.params:
            raise ConditionFailed(self.row)
        return {}


def permits_row(namespace_count: int, each: int, expires_at: int) -> Row:
    """Return a row in which each namespace holds some permits."""
    row: Row = {"pk": "PERMITS", "sk": "P"}
    base = expires_at * RANDOM_RANGE
    for number in range(namespace_count):
        row[f"ns_{number:08x}"] = {base + number * each + index for index in range(each)}
    row["held"] = {base + number for number in range(namespace_count * each)}
    return row


def test_acquire_expired_permits_of_many_namespaces_removes_some() -> None:
    """One write removes the expired permits of 50 namespaces, from both their attributes and the total."""
    table = FullTable(permits_row(60, 2, START_MS - 1))
    assert DynamoPermitPool(cast(Table, table), 120).acquire("a", expires_at=START_MS + 1, now=START_MS) is None
    removal = table.writes[1].params
    removed = {name: set(value["NS"]) for name, value in removal["ExpressionAttributeValues"].items()}
    everywhere = removed.pop(":delete_held")
    assert len(removed) == 50
    assert everywhere == set().union(*removed.values())
    assert len(removal["UpdateExpression"]) < MAX_EXPRESSION_BYTES


def test_acquire_permits_without_namespace_are_removed() -> None:
    """Expired permits of which no namespace has a record do not stay."""
    row: dict[str, Any] = {"held": {(START_MS - 1) * RANDOM_RANGE + 7}}
    table = FullTable(row)
    DynamoPermitPool(cast(Table, table), 1).acquire("a", expires_at=START_MS + 1, now=START_MS)
    assert table.writes[1].params["UpdateExpression"] == "DELETE #held :delete_held"


def test_permits_of_earlier_versions_are_ignored() -> None:
    """Permits that an earlier version left in the row have no expiry of this version's form, and count nowhere."""
    table = FullTable({"permits": {(START_MS + 1) * 10**15}})
    pool = DynamoPermitPool(cast(Table, table), 1)
    assert pool.acquire("a", expires_at=START_MS + 1, now=START_MS) is None
    (acquire,) = table.writes
    assert "permits" not in acquire.params["ExpressionAttributeNames"].values()


@pytest.mark.parametrize("max_permits", [1, 100, 500])
def test_acquire_condition_fits_an_expression(max_permits: int) -> None:
    """The condition is shorter than an expression may be."""
    table = FullTable({})
    DynamoPermitPool(cast(Table, table), max_permits).acquire("a", expires_at=START_MS + 1, now=START_MS)
    assert len(table.writes[0].params["ConditionExpression"]) < MAX_EXPRESSION_BYTES / 2


@pytest.mark.parametrize(("namespaces", "each"), [(100, 5), (500, 1), (1, 500)])
def test_row_of_500_permits_stays_within_a_partition(namespaces: int, each: int) -> None:
    """With 500 permits, the parameter's maximum, held for 20 s each, the row takes less than 1,000 units a second."""
    units = -(-row_bytes(permits_row(namespaces, each, START_MS)) // 1_024)
    assert units * 2 * 500 / 20 < 1_000
