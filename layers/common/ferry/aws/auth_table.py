"""Clients and published signing keys in DynamoDB, one row each (docs/decisions/0006).

`CLIENT#<client_id>`: `ns`, `scope` (space-separated), `secret_hashes`, `disabled`, `created_at`, `rotated_at`.
`KEY_SET`: `signing_kid`, `keys` (maps of `kid`, `key_ref`, `jwk`, `published_at`, `superseded_at`), `revoked`
(epoch seconds by client id) and `disabled` (ids of disabled clients). Each row has a `version`, which every write
increments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ferry.aws.errors import map_errors
from ferry.aws.expressions import Row, Write, decode_row, encode_row, put
from ferry.model.auth import Client, KeySet, PublicKey
from ferry.ports.errors import ConcurrentUpdate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

CLIENT_PREFIX = "CLIENT#"
KEY_SET_PK = "KEY_SET"


class AuthTable:
    """`AuthStore` over one DynamoDB table.

    Each method makes one call. Reads are strongly consistent. Each method raises `BackendUnavailable` if DynamoDB
    fails.
    """

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get_client(self, client_id: str) -> Client | None:
        row = self._get_row(f"{CLIENT_PREFIX}{client_id}")
        return client_from_row(row) if row else None

    def get_key_set(self) -> KeySet | None:
        row = self._get_row(KEY_SET_PK)
        return key_set_from_row(row) if row else None

    def put_key_set(self, key_set: KeySet, *, expected: KeySet | None) -> None:
        write: Any = key_set_write(key_set, expected=expected).params
        try:
            with map_errors("ConditionalCheckFailedException"):
                self._client.put_item(TableName=self._table, **write)
        except self._client.exceptions.ConditionalCheckFailedException as failed:
            raise ConcurrentUpdate from failed

    def _get_row(self, pk: str) -> Row | None:
        with map_errors():
            response = self._client.get_item(TableName=self._table, Key=encode_row({"pk": pk}), ConsistentRead=True)
        return decode_row(response["Item"]) if "Item" in response else None


def client_from_row(row: Row) -> Client:
    return Client(
        client_id=row["pk"].removeprefix(CLIENT_PREFIX),
        ns=row["ns"],
        scopes=frozenset(row["scope"].split()),
        secret_hashes=tuple(row["secret_hashes"]),
        disabled=row["disabled"],
        created_at=row.get("created_at", 0),
        rotated_at=row.get("rotated_at", 0),
        version=row.get("version", 0),
    )


def client_to_row(client: Client, *, version: int) -> Row:
    return {
        "pk": f"{CLIENT_PREFIX}{client.client_id}",
        "ns": client.ns,
        "scope": " ".join(sorted(client.scopes)),
        "secret_hashes": client.secret_hashes,
        "disabled": client.disabled,
        "created_at": client.created_at,
        "rotated_at": client.rotated_at,
        "version": version,
    }


def client_write(client: Client, *, expected: Client | None) -> Write:
    """Return a put of the client's row, conditional on the version of `expected` (None: no such row)."""
    return _versioned_put(client_to_row(client, version=_next_version(expected)), expected)


def key_set_from_row(row: Row) -> KeySet:
    return KeySet(
        signing_kid=row["signing_kid"],
        keys=tuple(_public_key_from_map(entry) for entry in row["keys"]),
        revoked_before_seconds=row.get("revoked", {}),
        disabled_clients=frozenset(row.get("disabled", ())),
        version=row.get("version", 0),
    )


def key_set_write(key_set: KeySet, *, expected: KeySet | None) -> Write:
    """Return a put of the key set's row, conditional on the version of `expected` (None: no such row)."""
    row = {
        "pk": KEY_SET_PK,
        "signing_kid": key_set.signing_kid,
        "keys": [_public_key_to_map(key) for key in key_set.keys],
        "revoked": key_set.revoked_before_seconds,
        "disabled": sorted(key_set.disabled_clients) or None,
        "version": _next_version(expected),
    }
    return _versioned_put(row, expected)


def _versioned_put(row: Row, expected: Client | KeySet | None) -> Write:
    if expected is None:
        return put(row, "attribute_not_exists(#pk)")
    # Rows written before versions existed have no `version` and are read as version 0.
    unversioned = " OR attribute_not_exists(#version)" if expected.version == 0 else ""
    condition = f"attribute_exists(#pk) AND (#version = :version{unversioned})"
    return put(row, condition, {"version": expected.version})


def _next_version(expected: Client | KeySet | None) -> int:
    return 0 if expected is None else expected.version + 1


def _public_key_from_map(entry: Row) -> PublicKey:
    return PublicKey(
        kid=entry["kid"],
        jwk=entry["jwk"],
        key_ref=entry["key_ref"],
        published_at=entry.get("published_at", 0),
        superseded_at=entry.get("superseded_at", 0),
    )


def _public_key_to_map(key: PublicKey) -> Row:
    return {
        "kid": key.kid,
        "key_ref": key.key_ref,
        "jwk": key.jwk,
        "published_at": key.published_at,
        "superseded_at": key.superseded_at,
    }
