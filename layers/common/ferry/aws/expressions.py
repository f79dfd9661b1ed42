"""DynamoDB expressions and typed attribute values, built from plain Python values.

Rows hold `str`, `int`, `bool`, `bytes`, sets of integers or of texts, sequences and mappings of these. None stands for
an absent attribute. Expressions use only placeholders (`#name` for attributes, `:name` for values), because DynamoDB
reserves many words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""A row as plain values by attribute name."""

Key = tuple[str, str]
"""The partition key `pk` and the sort key `sk` of a row."""


@dataclass(frozen=True)
class Write:
    """One write, sent alone or in a transaction."""

    kind: str
    """`Put`, `Update` or `Delete`, as in TransactWriteItems."""

    params: Mapping[str, Any] = field(default_factory=dict)
    """Request parameters without the table name."""


def put(row: Row, condition: str = "", values: Mapping[str, Any] | None = None) -> Write:
    """Return a write that replaces a whole row if `condition` holds."""
    return Write("Put", {"Item": encode_row(row)} | condition_params(condition, values or {}))


def with_old_row(write: Write) -> Write:
    """Return the write, in a transaction that returns its row if its condition fails."""
    return Write(write.kind, {**write.params, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"})


def delete(key: Key, condition: str = "", values: Mapping[str, Any] | None = None) -> Write:
    """Return a write that deletes a row if `condition` holds."""
    return Write("Delete", {"Key": encode_key(key)} | condition_params(condition, values or {}))


def update(
    key: Key,
    sets: Mapping[str, Any] | None = None,
    *,
    adds: Mapping[str, Any] | None = None,
    set_deletes: Mapping[str, Any] | None = None,
    extra_sets: Sequence[str] = (),
    condition: str,
    values: Mapping[str, Any] | None = None,
) -> Write:
    """Return a write that changes attributes of a row, and creates the row if `condition` allows it.

    Args:
        key: the row.
        sets: attributes to set; the value None removes the attribute.
        adds: numbers to add to attributes, or members to add to set attributes.
        set_deletes: members to delete from set attributes.
        extra_sets: further SET clauses; they may use `values`.
        condition: the condition expression; empty: none.
        values: values of the placeholders in `condition` and `extra_sets`.
    """
    assignments = {name: value for name, value in (sets or {}).items() if value is not None}
    removals = [name for name in (sets or {}) if name not in assignments]
    clauses = [
        ("SET", [*(f"#{name} = :set_{name}" for name in assignments), *extra_sets]),
        ("REMOVE", [f"#{name}" for name in removals]),
        ("ADD", [f"#{name} :add_{name}" for name in adds or {}]),
        ("DELETE", [f"#{name} :delete_{name}" for name in set_deletes or {}]),
    ]
    expression = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)
    clause_values = {f"set_{name}": value for name, value in assignments.items()}
    clause_values |= {f"add_{name}": value for name, value in (adds or {}).items()}
    clause_values |= {f"delete_{name}": value for name, value in (set_deletes or {}).items()}
    params = condition_params(condition, dict(values or {}) | clause_values, expression)
    return Write("Update", {"Key": encode_key(key), "UpdateExpression": expression} | params)


def condition_params(condition: str, values: Mapping[str, Any], other_expression: str = "") -> dict[str, Any]:
    """Return the request parameters of a condition, with the attribute names of both expressions."""
    params: dict[str, Any] = {"ConditionExpression": condition} if condition else {}
    names = {f"#{name}": name for name in re.findall(r"#(\w+)", f"{condition} {other_expression}")}
    if names:
        params["ExpressionAttributeNames"] = names
    if values:
        params["ExpressionAttributeValues"] = {f":{name}": encode(value) for name, value in values.items()}
    return params


def encode_key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def encode_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row in DynamoDB's typed form, without the attributes whose value is None."""
    return {name: encode(value) for name, value in row.items() if value is not None}


def decode_row(item: Mapping[str, Any]) -> Row:
    return {name: decode(value) for name, value in item.items()}


def encode(value: object) -> dict[str, Any]:
    """Return one plain value in DynamoDB's typed form.

    Raises:
        TypeError: rows do not hold values of this type.
    """
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case frozenset() | set() if all(isinstance(member, str) for member in value):
            return {"SS": sorted(value)}
        case frozenset() | set():
            return {"NS": [str(number) for number in sorted(value)]}
        case Mapping():
            return {"M": encode_row(value)}
        case Sequence():
            return {"L": [encode(member) for member in value]}
        case _:
            raise TypeError(f"rows hold no {type(value).__name__}")


def decode(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content)
        case "NS":
            return frozenset(int(number) for number in content)
        case "SS":
            return frozenset(content)
        case "B":
            return bytes(content)
        case "M":
            return decode_row(content)
        case "L":
            return [decode(member) for member in content]
        case _:
            return content
