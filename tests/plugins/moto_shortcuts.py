"""Remove three slow paths of moto's DynamoDB without changing its results.

For each value in a response moto looks up ten members under three names each, although a value has one member under its
own name. For each item of a transaction moto copies the whole table, although one copy of a table per transaction is
enough for the rollback. Each comparison of two keys, of which sorting a table needs many, tests both for six types.

`CHECKED_VERSION` is the moto release that `tests/integration/test_moto_shortcuts.py` compared the shortcuts with.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

CHECKED_VERSION = "5.2.5"


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
    from moto.dynamodb.models.dynamo_type import DynamoType
    from moto.dynamodb.models.table import Table

    table_copies: ContextVar[dict[str, Any] | None] = ContextVar("table_copies", default=None)
    transact = models.DynamoDBBackend.transact_write_items
    serialize = ResponseSerializer._serialize_type_structure
    patch.setattr(ResponseSerializer, "_serialize_type_structure", _with_present_members(serialize))
    patch.setattr(DynamoType, "cast_value", _with_direct_scalars(DynamoType.cast_value))
    patch.setattr(models, "copy", SimpleNamespace(deepcopy=_deepcopy_table_once(Table, table_copies)))
    patch.setattr(models.DynamoDBBackend, "transact_write_items", _with_table_copies(transact, table_copies))


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


def _deepcopy_table_once(table_class: type[Any], table_copies: ContextVar[dict[str, Any] | None]) -> Any:
    def deepcopy(value: Any) -> Any:
        copies = table_copies.get()
        if copies is None or not isinstance(value, table_class):
            return copy.deepcopy(value)
        if value.name not in copies:
            copies[value.name] = copy.deepcopy(value)
        return copies[value.name]

    return deepcopy


def _with_table_copies(transact: Any, table_copies: ContextVar[dict[str, Any] | None]) -> Any:
    def transact_write_items(backend: Any, transact_items: Any) -> None:
        token = table_copies.set({})
        try:
            transact(backend, transact_items)
        finally:
            table_copies.reset(token)

    return transact_write_items
