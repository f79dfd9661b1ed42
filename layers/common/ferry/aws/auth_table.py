"""Clients and published keys in DynamoDB: one item each (docs/decisions/0006).

`CLIENT#<client_id>` has `ns` (S), `scope` (S, space-separated), `secret_hashes` (L of B) and `disabled` (BOOL);
`KEYRING` has `signing_kid` (S), `keys` (L of M: `kid`, `key_ref`, `jwk`) and `revoked` (M of N, epoch seconds). Both
have a `version` (N) that every write moves on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ferry.aws.errors import map_errors
from ferry.model.auth import Client, KeySet, PublicKey
from ferry.ports.errors import ConcurrentUpdate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CLIENT_PREFIX = "CLIENT#"
KEY_SET_PK = "KEY_SET"


class AuthTable:
    """`ferry.ports.AccessStore` over one table. Every method is one call; reads are strongly consistent.

    All methods raise `BackendUnavailable` when DynamoDB fails.
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get_client(self, client_id: str) -> Client | None:
        item = self._item(f"{CLIENT_PREFIX}{client_id}")
        return None if item is None else client_from_item(item)

    def put_client(self, client: Client) -> None:
        """Write the client, over one of the same id."""
        with map_errors():
            self._client.put_item(TableName=self._table, Item=client_to_item(client, version=client.version))

    def get_key_set(self) -> KeySet | None:
        item = self._item(KEY_SET_PK)
        return None if item is None else key_set_from_item(item)

    def put_key_set(self, key_set: KeySet, *, expected: KeySet | None) -> None:
        """Replace the keyring if it is still `over` (None: there is none yet). Raises `Moved`."""
        try:
            with map_errors("ConditionalCheckFailedException"):
                self._client.put_item(TableName=self._table, **key_set_put_params(key_set, expected=expected))
        except self._client.exceptions.ConditionalCheckFailedException as moved:
            raise ConcurrentUpdate from moved

    def _item(self, pk: str) -> dict[str, Any] | None:
        with map_errors():
            answer = self._client.get_item(TableName=self._table, Key={"pk": {"S": pk}}, ConsistentRead=True)
        item: dict[str, Any] | None = answer.get("Item")
        return item


def client_from_item(item: Mapping[str, Any]) -> Client:
    return Client(
        client_id=item["pk"]["S"].removeprefix(CLIENT_PREFIX),
        ns=item["ns"]["S"],
        scopes=frozenset(item["scope"]["S"].split()),
        secret_hashes=tuple(bytes(entry["B"]) for entry in item["secret_hashes"]["L"]),
        disabled=item["disabled"]["BOOL"],
        created_at=_number(item, "created_at"),
        rotated_at=_number(item, "rotated_at"),
        version=_number(item, "version"),
    )


def client_to_item(client: Client, *, version: int) -> dict[str, Any]:
    return {
        "pk": {"S": f"{CLIENT_PREFIX}{client.client_id}"},
        "ns": {"S": client.ns},
        "scope": {"S": " ".join(sorted(client.scopes))},
        "secret_hashes": {"L": [{"B": digest} for digest in client.secret_hashes]},
        "disabled": {"BOOL": client.disabled},
        "created_at": {"N": str(client.created_at)},
        "rotated_at": {"N": str(client.rotated_at)},
        "version": {"N": str(version)},
    }


def client_put_params(client: Client, *, expected: Client | None) -> dict[str, Any]:
    """A put of the row that holds only if it is still `over` (None: not there)."""
    version = 0 if expected is None else expected.version + 1
    return {"Item": client_to_item(client, version=version), **_version_condition(expected)}


def key_set_from_item(item: Mapping[str, Any]) -> KeySet:
    return KeySet(
        signing_kid=item["signing_kid"]["S"],
        keys=tuple(_public_key_from_map(entry["M"]) for entry in item["keys"]["L"]),
        revoked_before_seconds={
            client_id: int(time["N"]) for client_id, time in item.get("revoked", {}).get("M", {}).items()
        },
        version=_number(item, "version"),
    )


def key_set_put_params(key_set: KeySet, *, expected: KeySet | None) -> dict[str, Any]:
    """A put of the row that holds only if it is still `over` (None: not there)."""
    version = 0 if expected is None else expected.version + 1
    item = {
        "pk": {"S": KEY_SET_PK},
        "signing_kid": {"S": key_set.signing_kid},
        "keys": {"L": [{"M": _public_key_to_map(key)} for key in key_set.keys]},
        "revoked": {"M": {client_id: {"N": str(time)} for client_id, time in key_set.revoked_before_seconds.items()}},
        "version": {"N": str(version)},
    }
    return {"Item": item, **_version_condition(expected)}


def _version_condition(expected: Client | KeySet | None) -> dict[str, Any]:
    if expected is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    # Rows of before versions were counted have none.
    unversioned = " OR attribute_not_exists(#version)" if expected.version == 0 else ""
    return {
        "ConditionExpression": f"attribute_exists(pk) AND (#version = :version{unversioned})",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":version": {"N": str(expected.version)}},
    }


def _public_key_from_map(entry: Mapping[str, Any]) -> PublicKey:
    return PublicKey(
        kid=entry["kid"]["S"],
        jwk={name: value["S"] for name, value in entry["jwk"]["M"].items()},
        key_ref=entry["key_ref"]["S"],
        published_at=_number(entry, "published_at"),
        superseded_at=_number(entry, "superseded_at"),
    )


def _public_key_to_map(key: PublicKey) -> dict[str, Any]:
    return {
        "kid": {"S": key.kid},
        "key_ref": {"S": key.key_ref},
        "jwk": {"M": {name: {"S": value} for name, value in key.jwk.items()}},
        "published_at": {"N": str(key.published_at)},
        "superseded_at": {"N": str(key.superseded_at)},
    }


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
