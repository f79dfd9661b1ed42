"""moto gives the same results with the shortcuts of `tests/plugins/moto_shortcuts.py` as without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import moto
import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader
from moto import mock_aws

from tests.plugins.moto_shortcuts import CHECKED_VERSION, apply_shortcuts

KEY = {"pk": {"S": "item"}}
EVERY_TYPE: dict[str, Any] = {
    "string": {"S": ""},
    "number": {"N": "-1.5"},
    "binary": {"B": b"\x00\xff"},
    "boolean": {"BOOL": False},
    "null": {"NULL": True},
    "strings": {"SS": ["a", "b"]},
    "numbers": {"NS": ["1", "2"]},
    "binaries": {"BS": [b"a"]},
    "list": {"L": [{"S": "a"}, {"L": []}, {"M": {}}]},
    "map": {"M": {"S": {"S": "a member named as a type"}, "B": {"M": {"N": {"N": "1"}}}}},
}


def new_table() -> Any:
    """Return a client of an empty moto with one table."""
    dynamodb = boto3.client("dynamodb", region_name="us-east-1")
    dynamodb.create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return dynamodb


def read_every_type() -> Any:
    """Return an item with a value of each type, as `GetItem` and `Scan` return it."""
    dynamodb = new_table()
    dynamodb.put_item(TableName="table", Item=KEY | EVERY_TYPE)
    item = dynamodb.get_item(TableName="table", Key=KEY)["Item"]
    assert item == KEY | EVERY_TYPE
    return item, dynamodb.scan(TableName="table")["Items"]


def commit_transaction() -> Any:
    """Return the items after a transaction that puts, updates and deletes."""
    dynamodb = new_table()
    for name in ("updated", "deleted"):
        dynamodb.put_item(TableName="table", Item={"pk": {"S": name}, "list": {"L": [{"N": "1"}]}})
    dynamodb.transact_write_items(TransactItems=transaction(condition="attribute_exists(pk)"))
    items = dynamodb.scan(TableName="table")["Items"]
    assert sorted(item["pk"]["S"] for item in items) == ["put", "updated"]
    return items


def roll_back_transaction() -> Any:
    """Return the error and the items after a transaction whose last condition fails."""
    dynamodb = new_table()
    for name in ("updated", "deleted"):
        dynamodb.put_item(TableName="table", Item={"pk": {"S": name}, "list": {"L": [{"N": "1"}]}})
    before = dynamodb.scan(TableName="table")["Items"]
    with pytest.raises(ClientError) as raised:
        dynamodb.transact_write_items(TransactItems=transaction(condition="attribute_not_exists(pk)"))
    items = dynamodb.scan(TableName="table")["Items"]
    assert items == before
    return raised.value.response["CancellationReasons"], items


UPDATES = (
    "SET #map.#new = :two, #list[1] = if_not_exists(none_yet, :two), #count = #count + :two REMOVE #list[0], gone[1]",
    "SET #count = :two - #count, #list = list_append(#list, :list) ADD #set :set DELETE #other :set",
    "REMOVE #map, #list",
    "ADD #count :two, newest :set",
    "SET #count = :two SET #list = :list",
    "SET #map.a = :two, #map.a = :two",
    "SET #map.absent.a = :two",
    "SET pk = :two",
    "SET #count = :absent",
    "SET #count :two",
)
"""Update expressions with each clause and each function, the last six with an error that moto finds."""


def update_items() -> Any:
    """Return the item or the error after each update, of an item and of a new one."""
    dynamodb = new_table()
    results: list[Any] = []
    for number, expression in enumerate(UPDATES * 2):
        key = {"pk": {"S": str(number)}}
        item = {
            "map": {"M": {"a": {"N": "1"}}},
            "list": {"L": [{"N": "1"}, {"S": "a"}]},
            "gone": {"L": [{"S": "a"}, {"S": "b"}]},
            "count": {"N": "1"},
            "set": {"SS": ["a"]},
            "other": {"SS": ["b", "c"]},
        }
        if number < len(UPDATES):
            dynamodb.put_item(TableName="table", Item={**key, **item})
        names = {
            f"#{name}": name for name in ("map", "new", "list", "count", "set", "other") if f"#{name}" in expression
        }
        values = {":two": {"N": "2"}, ":list": {"L": [{"S": "z"}]}, ":set": {"SS": ["b"]}}
        used = {name: value for name, value in values.items() if name in expression}
        options = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": used}
        try:
            dynamodb.update_item(
                TableName="table",
                Key=key,
                UpdateExpression=expression,
                **{name: value for name, value in options.items() if value},
            )
        except ClientError as error:
            results.append(error.response["Error"])
        else:
            results.append(dynamodb.get_item(TableName="table", Key=key)["Item"])
    assert ["Code" in result for result in results[: len(UPDATES)]] == [False] * 4 + [True] * 6
    return results


def transaction(condition: str) -> list[dict[str, Any]]:
    update = {
        "UpdateExpression": "SET #list[0] = :two ADD #count :two",
        "ExpressionAttributeNames": {"#list": "list", "#count": "count"},
        "ExpressionAttributeValues": {":two": {"N": "2"}},
    }
    return [
        {"Put": {"TableName": "table", "Item": {"pk": {"S": "put"}}}},
        {"Update": {"TableName": "table", "Key": {"pk": {"S": "updated"}}, **update}},
        {"Delete": {"TableName": "table", "Key": {"pk": {"S": "deleted"}}, "ConditionExpression": condition}},
    ]


@pytest.mark.parametrize("operation", [read_every_type, update_items, commit_transaction, roll_back_transaction])
def test_moto_with_shortcuts_gives_same_result(
    operation: Callable[[], Any], moto_shortcuts: pytest.MonkeyPatch
) -> None:
    """Reads of each type, updates, a committed transaction, and one that is rolled back."""
    with mock_aws():
        with_shortcuts = operation()
    moto_shortcuts.undo()
    try:
        with mock_aws():
            assert operation() == with_shortcuts
    finally:
        apply_shortcuts(moto_shortcuts)


def test_moto_version_is_the_checked_one() -> None:
    """After an update of moto, compare its methods with the shortcuts, then change `CHECKED_VERSION`."""
    assert moto.__version__ == CHECKED_VERSION


@pytest.mark.parametrize(("service", "type_name"), [("s3", "service-2"), ("lambda", "paginators-1")])
def test_botocore_model_shared_between_sessions_stays_unchanged(service: str, type_name: str) -> None:
    """botocore merges its `extras` into the shared model again for each session: the model stays the same."""
    first = Loader().load_service_model(service, type_name)
    merged_once = repr(first)
    second = Loader().load_service_model(service, type_name)
    assert second is first
    assert repr(second) == merged_once
