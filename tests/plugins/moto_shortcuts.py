"""Remove the slow paths of moto's DynamoDB without changing its results.

- For each value in a response moto looks up ten members under three names each, although a value has one member under
  its own name.
- For each item of a transaction moto copies the whole table, although a rollback needs the items of the transaction.
- Copies of an item copy each value, although moto changes lists, maps and sets alone in place.
- Each comparison of two keys, of which sorting a table needs many, tests both for six types.
- Update expressions are parsed and checked again for each call: see `tests/plugins/moto_update_expressions.py`.
- Each call passes an HTTP request: see `tests/plugins/moto_direct_calls.py`.

`CHECKED_VERSION` is the moto release that `tests/integration/test_moto_shortcuts.py` compared the shortcuts with.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from tests.plugins.moto_direct_calls import apply_direct_calls
from tests.plugins.moto_update_expressions import apply_update_expressions

CHECKED_VERSION = "5.2.5"

SCALARS = ("S", "N", "B", "BOOL", "NULL")
"""The types whose values moto replaces and never changes."""


@pytest.fixture(scope="session")
def moto_shortcuts() -> Iterator[pytest.MonkeyPatch]:
    """Apply the shortcuts until the end of the run. `undo` of the returned patch removes them earlier."""
    with pytest.MonkeyPatch.context() as patch:
        apply_shortcuts(patch)
        yield patch


def apply_shortcuts(patch: pytest.MonkeyPatch) -> None:
    """Replace the slow methods of moto. moto is imported here, so that unit tests do not load it."""
    from moto.core.serialize import ResponseSerializer
    from moto.dynamodb import models
    from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
    from moto.dynamodb.models.table import Table

    apply_direct_calls(patch)
    apply_update_expressions(patch)
    changed: ContextVar[list[dict[str, Any]] | None] = ContextVar("changed", default=None)
    transact = models.DynamoDBBackend.transact_write_items
    serialize = ResponseSerializer._serialize_type_structure
    patch.setattr(ResponseSerializer, "_serialize_type_structure", _with_present_members(serialize))
    patch.setattr(DynamoType, "cast_value", _with_direct_scalars(DynamoType.cast_value))
    patch.setattr(Item, "__deepcopy__", _with_shared_scalars(LimitedSizeDict))
    patch.setattr(models, "copy", SimpleNamespace(deepcopy=_deepcopy_changed_items(Table, DynamoType, changed)))
    patch.setattr(models.DynamoDBBackend, "transact_write_items", _with_changed_items(transact, changed))


def _with_present_members(serialize: Any) -> Any:
    def serialize_structure(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name != "AttributeValue" or type(value) is not dict:
            serialize(serializer, serialized, value, shape, key)
            return
        members = serializer.MAP_TYPE() if key else serialized
        for name, member in value.items():
            serializer._serialize(members, member, shape.members[name], name)
        if key:
            serializer._default_serialize(serialized, members, shape, key)

    return serialize_structure


def _with_direct_scalars(cast_value: Any) -> property:
    def direct(value: Any) -> Any:
        return value.value if value.type in ("S", "B") else cast_value.fget(value)

    return property(direct)


def _with_shared_scalars(attributes_class: Any) -> Any:
    def deepcopy(item: Any, memo: dict[int, Any]) -> Any:
        copied = copy.copy(item)
        copied.attrs = attributes_class.__new__(attributes_class)
        dict.update(
            copied.attrs,
            {
                name: value if value.type in SCALARS else copy.deepcopy(value, memo)
                for name, value in item.attrs.items()
            },
        )
        return copied

    return deepcopy


def _deepcopy_changed_items(table_class: type[Any], dynamo_type: type[Any], changed: ContextVar[Any]) -> Any:
    def deepcopy(value: Any) -> Any:
        if changed.get() is None or not isinstance(value, table_class):
            return copy.deepcopy(value)
        table = copy.copy(value)
        table.items = value.items.copy()
        for key in _changed_keys(value, changed.get()):
            hash_key, *range_key = map(dynamo_type, key)
            rows = table.items.get(hash_key)
            if rows and range_key:
                table.items[hash_key] = rows | {k: copy.deepcopy(rows[k]) for k in range_key if k in rows}
            elif rows:
                table.items[hash_key] = copy.deepcopy(rows)
        return table

    return deepcopy


def _changed_keys(table: Any, transact_items: list[dict[str, Any]]) -> Iterator[list[Any]]:
    """Yield the key, in the order of the table's schema, of each item of a table that a transaction names."""
    for item in transact_items:
        for operation in item.values():
            if operation.get("TableName") == table.name:
                key = operation.get("Key") or operation["Item"]
                yield [key[name] for name in table.table_key_attrs]


def _with_changed_items(transact: Any, changed: ContextVar[Any]) -> Any:
    def transact_write_items(backend: Any, transact_items: Any) -> None:
        token = changed.set(transact_items)
        try:
            transact(backend, transact_items)
        finally:
            changed.reset(token)

    return transact_write_items
