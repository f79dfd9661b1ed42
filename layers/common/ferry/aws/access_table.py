"""Clients and published keys in DynamoDB.

One item each: `CLIENT#<client_id>` has `ns` (S), `scope` (S, space-separated), `secret_hashes` (L of B) and `disabled`
(BOOL); `KEYRING` has `signing_kid` (S) and `keys` (L of M: `kid`, `key_ref`, `jwk`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ferry.aws.errors import translated
from ferry.model import Client, Keyring, PublicKey
from ferry.ports import Moved

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEYRING = "KEYRING"


class AccessTable:
    """`ferry.ports.AccessStore` over one table. Every method is one call; reads are strongly consistent.

    All methods raise `BackendUnavailable` when DynamoDB fails.
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def client(self, client_id: str) -> Client | None:
        item = self._item(f"CLIENT#{client_id}")
        if item is None:
            return None
        return Client(
            client_id=client_id,
            ns=item["ns"]["S"],
            scopes=frozenset(item["scope"]["S"].split()),
            secret_hashes=tuple(bytes(entry["B"]) for entry in item["secret_hashes"]["L"]),
            disabled=item["disabled"]["BOOL"],
        )

    def put_client(self, client: Client) -> None:
        """Write the client, over one of the same id."""
        item: dict[str, Any] = {
            "pk": {"S": f"CLIENT#{client.client_id}"},
            "ns": {"S": client.ns},
            "scope": {"S": " ".join(sorted(client.scopes))},
            "secret_hashes": {"L": [{"B": digest} for digest in client.secret_hashes]},
            "disabled": {"BOOL": client.disabled},
        }
        with translated():
            self._client.put_item(TableName=self._table, Item=item)

    def keyring(self) -> Keyring | None:
        item = self._item(_KEYRING)
        if item is None:
            return None
        return Keyring(
            signing_kid=item["signing_kid"]["S"],
            keys=tuple(_key(entry["M"]) for entry in item["keys"]["L"]),
        )

    def publish(self, keyring: Keyring, *, over: Keyring | None) -> None:
        """Replace the keyring if it is still `over` (None: there is none yet). Raises `Moved`."""
        request: dict[str, Any] = {"TableName": self._table, "Item": {"pk": {"S": _KEYRING}, **_attributes(keyring)}}
        if over is None:
            request["ConditionExpression"] = "attribute_not_exists(pk)"
        else:
            seen = _attributes(over)
            request["ConditionExpression"] = "signing_kid = :signing_kid AND #keys = :keys"
            request["ExpressionAttributeNames"] = {"#keys": "keys"}
            request["ExpressionAttributeValues"] = {":signing_kid": seen["signing_kid"], ":keys": seen["keys"]}
        try:
            with translated("ConditionalCheckFailedException"):
                self._client.put_item(**request)
        except self._client.exceptions.ConditionalCheckFailedException as moved:
            raise Moved from moved

    def _item(self, pk: str) -> dict[str, Any] | None:
        with translated():
            answer = self._client.get_item(TableName=self._table, Key={"pk": {"S": pk}}, ConsistentRead=True)
        item: dict[str, Any] | None = answer.get("Item")
        return item


def _key(entry: dict[str, Any]) -> PublicKey:
    return PublicKey(
        kid=entry["kid"]["S"],
        jwk={name: value["S"] for name, value in entry["jwk"]["M"].items()},
        key_ref=entry["key_ref"]["S"],
    )


def _attributes(keyring: Keyring) -> dict[str, Any]:
    entries = [
        {
            "M": {
                "kid": {"S": key.kid},
                "key_ref": {"S": key.key_ref},
                "jwk": {"M": {name: {"S": value} for name, value in key.jwk.items()}},
            }
        }
        for key in keyring.keys
    ]
    return {"signing_kid": {"S": keyring.signing_kid}, "keys": {"L": entries}}
