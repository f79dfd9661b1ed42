"""DynamoDB's expressions and typed values, from plain ones.

Values are `str`, `int`, `bool`, `bytes`, sets of numbers and maps of these; None is an attribute that is not there.
Names in expressions are written `#name`, values `:name`, so that no reserved word ever matters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Write:
    """One write, on its own or in a transaction: `kind` is `Put`, `Update` or `Delete`."""

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)


def put(row: Row, condition: str = "", values: Mapping[str, Any] | None = None) -> Write:
    """Put a whole row, `when` a condition holds."""
    return Write("Put", {"Item": encode_row(row)} | condition_params(condition, values or {}))


def delete(key: Key, condition: str = "", values: Mapping[str, Any] | None = None) -> Write:
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
    """Change a row. `sets` with the value None removes; `takes` takes members out of sets; `also` are further SET
    clauses, over `given` like `when`.
    """
    kept = {name: value for name, value in (sets or {}).items() if value is not None}
    removed = [name for name in (sets or {}) if name not in kept]
    clauses = [
        ("SET", [*(f"#{name} = :set_{name}" for name in kept), *extra_sets]),
        ("REMOVE", [f"#{name}" for name in removed]),
        ("ADD", [f"#{name} :add_{name}" for name in adds or {}]),
        ("DELETE", [f"#{name} :take_{name}" for name in set_deletes or {}]),
    ]
    expression = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)
    assigned = {f"set_{name}": value for name, value in kept.items()}
    assigned |= {f"add_{name}": value for name, value in (adds or {}).items()}
    assigned |= {f"take_{name}": value for name, value in (set_deletes or {}).items()}
    params = condition_params(condition, dict(values or {}) | assigned, expression)
    return Write("Update", {"Key": encode_key(key), "UpdateExpression": expression} | params)


def condition_params(condition: str, values: Mapping[str, Any], other_expression: str = "") -> dict[str, Any]:
    """The parameters of a condition; names are found in it and in `expression`."""
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
    """A row as DynamoDB takes it; what is None is left out."""
    return {name: encode(value) for name, value in row.items() if value is not None}


def decode_row(item: Mapping[str, Any]) -> Row:
    return {name: decode(value) for name, value in item.items()}


def encode(value: object) -> dict[str, Any]:
    """A plain value as DynamoDB's typed one.

    Raises:
        TypeError: a value of a kind that rows do not hold.
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
        case frozenset() | set():
            return {"NS": [str(number) for number in sorted(value)]}
        case Mapping():
            return {"M": encode_row(value)}
        case _:
            raise TypeError(f"rows hold no {type(value).__name__}")


def decode(value: Mapping[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content)
        case "NS":
            return frozenset(int(number) for number in content)
        case "B":
            return bytes(content)
        case "M":
            return decode_row(content)
        case _:
            return content
