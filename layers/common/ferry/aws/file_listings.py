"""Rows of a namespace's names within bounds, ordered by the UTF-8 bytes of the name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ferry.aws import metadata_rows as rows

if TYPE_CHECKING:
    from ferry.aws.dynamo import Table
    from ferry.aws.expressions import Row

MAX_SORT_KEY_BYTES = 1_024
"""DynamoDB's limit of a sort key."""

_LAST_CHARACTER = "\U0010ffff"


def query_names(
    table: Table, ns: str, row_prefix: str, prefix: str, *, start: str, limit: int
) -> tuple[list[Row], bool]:
    """Return up to `limit` rows of one kind whose name has the prefix, from the position `start` on. One query.

    Also return whether rows may follow. `start` begins with the prefix.
    """
    found, last_key = table.query(
        "#pk = :pk AND #sk BETWEEN :first AND :last",
        {"pk": rows.names_pk(ns), "first": row_prefix + start, "last": last_sort_key(row_prefix + prefix)},
        limit=limit,
    )
    return found, last_key is not None


def last_sort_key(key_prefix: str) -> str:
    """Return a sort key behind every sort key that begins with `key_prefix`.

    A name may begin with the last character of all. So the bound repeats it, until it is longer than any name.
    """
    room = MAX_SORT_KEY_BYTES - len(key_prefix.encode())
    return key_prefix + _LAST_CHARACTER * (room // len(_LAST_CHARACTER.encode()))
