"""The contract of the auth store, the admin store and the signer, in memory and on moto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import jwt
import pytest
from moto import mock_aws

from admin.ports import AdminStore, AuditEntry, ConditionalPut
from admin.store import DynamoAdminStore
from dev.fakes.auth_store import MemoryAuthStore, MemorySigner
from dev.testing.template import create_table, resource_properties
from ferry.aws.kms import KmsSigner
from ferry.aws.session import AwsSession
from ferry.model.auth import Client, KeySet, PublicKey
from ferry.ports.auth import AuthStore, Signer
from ferry.ports.errors import ConcurrentUpdate

CLIENT = Client("an id: é", "ns", frozenset({"files:read", "files:write"}), (bytes(32), b"\xff" * 32))
KEY = PublicKey("kid", {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}, "ref")


@pytest.fixture(params=["memory", "moto"])
def auth_store(request: pytest.FixtureRequest) -> Iterator[AdminStore]:
    """An empty auth table with the methods of the operator."""
    if request.param == "memory":
        yield MemoryAuthStore()
        return
    with mock_aws():
        session = AwsSession({})
        create_table(session.dynamodb, "AuthTable", "auth")
        yield DynamoAdminStore(session.dynamodb, "auth")


@pytest.fixture(params=["memory", "moto"])
def signer(request: pytest.FixtureRequest) -> Iterator[tuple[Signer, str]]:
    """A signer and the reference of a key that it has."""
    if request.param == "memory":
        yield MemorySigner(), "key"
        return
    with mock_aws():
        properties = resource_properties("SigningKey")
        created = boto3.client("kms").create_key(KeySpec=properties["KeySpec"], KeyUsage=properties["KeyUsage"])
        yield KmsSigner(AwsSession({}).kms), created["KeyMetadata"]["KeyId"]


def make_audit_entry(event: str = "client.add", at: int = 1_790_000_000_123) -> AuditEntry:
    return AuditEntry(at, "arn:operator", event, CLIENT.client_id, {"why": "a test"})


def test_commit_client_stores_every_member(auth_store: AdminStore) -> None:
    """A committed client is read with every member; a second commit replaces the row; an unknown id is None."""
    assert auth_store.get_client(CLIENT.client_id) is None
    auth_store.commit(make_audit_entry(), client=ConditionalPut(CLIENT, None))
    assert auth_store.get_client(CLIENT.client_id) == CLIENT
    bare = Client(CLIENT.client_id, "other", frozenset(), (), disabled=True, created_at=1, rotated_at=2)
    auth_store.commit(make_audit_entry(), client=ConditionalPut(bare, CLIENT))
    assert auth_store.get_client(CLIENT.client_id) == bare


def test_key_set_changed_meanwhile_is_not_replaced(auth_store: AuthStore) -> None:
    """A key set is replaced only if its stored version is the expected one."""
    first = KeySet("kid", (KEY,))
    second = KeySet("kid", (KEY, PublicKey("2", KEY.jwk, "ref2", published_at=1, superseded_at=2)), {"one": 3})
    assert auth_store.get_key_set() is None
    with pytest.raises(ConcurrentUpdate):
        auth_store.put_key_set(second, expected=first)
    auth_store.put_key_set(first, expected=None)
    with pytest.raises(ConcurrentUpdate):
        auth_store.put_key_set(second, expected=None)
    auth_store.put_key_set(second, expected=first)
    assert auth_store.get_key_set() == second
    with pytest.raises(ConcurrentUpdate):
        auth_store.put_key_set(first, expected=first)
    assert auth_store.get_key_set() == second


def test_commit_writes_rows_and_audit_entry(auth_store: AdminStore) -> None:
    """A commit stores the client, the key set and the audit entry; entries are listed latest first."""
    key_set = KeySet("kid", (KEY,))
    auth_store.commit(make_audit_entry(), client=ConditionalPut(CLIENT, None), key_set=ConditionalPut(key_set, None))
    later = make_audit_entry("client.disable", at=1_790_000_000_124)
    auth_store.commit(later)
    assert auth_store.get_client(CLIENT.client_id) == CLIENT
    assert auth_store.get_key_set() == key_set
    assert list(auth_store.list_audit_entries()) == [later, make_audit_entry()]


def test_commit_failed_condition_writes_nothing(auth_store: AdminStore) -> None:
    """If either row has changed, neither row nor the audit entry is written."""
    key_set = KeySet("kid", (KEY,))
    auth_store.commit(make_audit_entry(), client=ConditionalPut(CLIENT, None), key_set=ConditionalPut(key_set, None))
    read_client, read_key_set = auth_store.get_client(CLIENT.client_id), auth_store.get_key_set()
    changed = replace(CLIENT, disabled=True)
    auth_store.commit(make_audit_entry("client.disable"), client=ConditionalPut(changed, read_client))
    other_key_set = KeySet("kid", (), {"x": 1})
    for client, key_set_put in (
        (ConditionalPut(CLIENT, read_client), ConditionalPut(other_key_set, read_key_set)),
        (ConditionalPut(CLIENT, None), ConditionalPut(other_key_set, read_key_set)),
        (ConditionalPut(replace(CLIENT, client_id="new"), None), ConditionalPut(other_key_set, None)),
    ):
        with pytest.raises(ConcurrentUpdate):
            auth_store.commit(make_audit_entry("never"), client=client, key_set=key_set_put)
    assert auth_store.get_client(CLIENT.client_id) == changed
    assert auth_store.get_client("new") is None
    assert auth_store.get_key_set() == key_set
    assert len(list(auth_store.list_audit_entries())) == 2


def test_clients_are_listed_in_order(auth_store: AdminStore) -> None:
    """All clients are listed by id, without other rows of the table."""
    assert list(auth_store.list_clients()) == []
    auth_store.commit(make_audit_entry(), key_set=ConditionalPut(KeySet("kid", (KEY,)), None))
    some = [replace(CLIENT, client_id=client_id) for client_id in ("b", "a", "c")]
    for client in some:
        auth_store.commit(make_audit_entry(), client=ConditionalPut(client, None))
    assert [client.client_id for client in auth_store.list_clients()] == ["a", "b", "c"]


def test_signature_verifies_with_public_jwk(signer: tuple[Signer, str]) -> None:
    """A signature has 64 bytes and verifies with the public JWK, which contains no private member."""
    port, key_ref = signer
    jwk = port.public_jwk(key_ref)
    assert jwk.keys() == {"kty", "crv", "x", "y"}
    assert (jwk["kty"], jwk["crv"], len(jwk["x"]), len(jwk["y"])) == ("EC", "P-256", 43, 43)
    key = jwt.PyJWK(dict(jwk), algorithm="ES256")
    for message in (b"one", b"x" * 4096):
        signature = port.sign(key_ref, message)
        assert len(signature) == 64
        assert key.Algorithm.verify(message, key.key, signature)
        assert not key.Algorithm.verify(message + b"!", key.key, signature)


@mock_aws
def test_item_without_version_is_read_and_replaced() -> None:
    """A row without version and times, as an earlier Ferry wrote it, is read as version 0 and can be replaced."""
    session = AwsSession({})
    create_table(session.dynamodb, "AuthTable", "auth")
    key: Any = {"kid": {"S": "kid"}, "key_ref": {"S": "ref"}, "jwk": {"M": {}}}
    old_row: Any = {"pk": {"S": "KEY_SET"}, "signing_kid": {"S": "kid"}, "keys": {"L": [{"M": key}]}}
    session.dynamodb.put_item(TableName="auth", Item=old_row)
    table = DynamoAdminStore(session.dynamodb, "auth")
    key_set = table.get_key_set()
    assert key_set == KeySet("kid", (PublicKey("kid", {}, "ref"),))
    table.put_key_set(KeySet("kid", ()), expected=key_set)
    with pytest.raises(ConcurrentUpdate):
        table.put_key_set(KeySet("kid", ()), expected=key_set)
