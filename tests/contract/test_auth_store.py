"""One suite for the access store, the operator's registry and the signer: in memory, and over moto."""

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
    """An empty access table, as an operator has it; the functions have less of it."""
    if request.param == "memory":
        yield MemoryAuthStore()
        return
    with mock_aws():
        session = AwsSession({})
        create_table(session.dynamodb, "AuthTable", "access")
        yield DynamoAdminStore(session.dynamodb, "access")


@pytest.fixture(params=["memory", "moto"])
def signer(request: pytest.FixtureRequest) -> Iterator[tuple[Signer, str]]:
    """A signer, and a key it has."""
    if request.param == "memory":
        yield MemorySigner(), "key"
        return
    with mock_aws():
        wanted = resource_properties("SigningKey")
        made = boto3.client("kms").create_key(KeySpec=wanted["KeySpec"], KeyUsage=wanted["KeyUsage"])
        yield KmsSigner(AwsSession({}).kms), made["KeyMetadata"]["KeyId"]


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
    """Two who publish at once: one wins, the other is told."""
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
    """The client, the keyring and the act, all three; what was done is listed, the latest first."""
    ring = KeySet("kid", (KEY,))
    auth_store.commit(make_audit_entry(), client=ConditionalPut(CLIENT, None), key_set=ConditionalPut(ring, None))
    later = make_audit_entry("client.disable", at=1_790_000_000_124)
    auth_store.commit(later)
    assert auth_store.get_client(CLIENT.client_id) == CLIENT
    assert auth_store.get_key_set() == ring
    assert list(auth_store.list_audit_entries()) == [later, make_audit_entry()]


def test_commit_failed_condition_writes_nothing(auth_store: AdminStore) -> None:
    """Neither the other row nor the act: whichever of the two rows has moved."""
    ring = KeySet("kid", (KEY,))
    auth_store.commit(make_audit_entry(), client=ConditionalPut(CLIENT, None), key_set=ConditionalPut(ring, None))
    seen, seen_ring = auth_store.get_client(CLIENT.client_id), auth_store.get_key_set()
    changed = replace(CLIENT, disabled=True)
    auth_store.commit(make_audit_entry("client.disable"), client=ConditionalPut(changed, seen))
    moved = KeySet("kid", (), {"x": 1})
    for client, keyring in (
        (ConditionalPut(CLIENT, seen), ConditionalPut(moved, seen_ring)),
        (ConditionalPut(CLIENT, None), ConditionalPut(moved, seen_ring)),
        (ConditionalPut(replace(CLIENT, client_id="new"), None), ConditionalPut(moved, None)),
    ):
        with pytest.raises(ConcurrentUpdate):
            auth_store.commit(make_audit_entry("never"), client=client, key_set=keyring)
    assert auth_store.get_client(CLIENT.client_id) == changed
    assert auth_store.get_client("new") is None
    assert auth_store.get_key_set() == ring
    assert len(list(auth_store.list_audit_entries())) == 2


def test_clients_are_listed_in_order(auth_store: AdminStore) -> None:
    """All of them, and nothing else that is in the table."""
    assert list(auth_store.list_clients()) == []
    auth_store.commit(make_audit_entry(), key_set=ConditionalPut(KeySet("kid", (KEY,)), None))
    some = [replace(CLIENT, client_id=client_id) for client_id in ("b", "a", "c")]
    for client in some:
        auth_store.commit(make_audit_entry(), client=ConditionalPut(client, None))
    assert [client.client_id for client in auth_store.list_clients()] == ["a", "b", "c"]


def test_signature_verifies_with_public_jwk(signer: tuple[Signer, str]) -> None:
    """ES256 as a JWS has it: 64 bytes, r and s; the JWK has the members of RFC 7518 section 6.2 and no secret."""
    over, key_ref = signer
    jwk = over.public_jwk(key_ref)
    assert jwk.keys() == {"kty", "crv", "x", "y"}
    assert (jwk["kty"], jwk["crv"], len(jwk["x"]), len(jwk["y"])) == ("EC", "P-256", 43, 43)
    key = jwt.PyJWK(dict(jwk), algorithm="ES256")
    for message in (b"one", b"x" * 4096):
        signature = over.sign(key_ref, message)
        assert len(signature) == 64
        assert key.Algorithm.verify(message, key.key, signature)
        assert not key.Algorithm.verify(message + b"!", key.key, signature)


@mock_aws
def test_item_without_version_is_read_and_replaced() -> None:
    """What an earlier Ferry wrote has no version and no times; it is read, and written over, all the same."""
    session = AwsSession({})
    create_table(session.dynamodb, "AuthTable", "access")
    key: Any = {"kid": {"S": "kid"}, "key_ref": {"S": "ref"}, "jwk": {"M": {}}}
    old: Any = {"pk": {"S": "KEY_SET"}, "signing_kid": {"S": "kid"}, "keys": {"L": [{"M": key}]}}
    session.dynamodb.put_item(TableName="access", Item=old)
    table = DynamoAdminStore(session.dynamodb, "access")
    seen = table.get_key_set()
    assert seen == KeySet("kid", (PublicKey("kid", {}, "ref"),))
    table.put_key_set(KeySet("kid", ()), expected=seen)
    with pytest.raises(ConcurrentUpdate):
        table.put_key_set(KeySet("kid", ()), expected=seen)
