"""One suite for the access store, the operator's registry and the signer: in memory, and over moto."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import jwt
import pytest
from moto import mock_aws

from admin.registry import Act, Change, Registry
from admin.table import AdminTable
from ferry.aws.kms import KmsSigner
from ferry.aws.session import AwsSession
from ferry.ports import Moved
from ferry.trust import AccessStore, Client, Keyring, PublicKey, Signer
from tests.fakes.access import MemoryAccess, MemorySigner
from tests.support.template import make_table, properties

CLIENT = Client("an id: é", "ns", frozenset({"files:read", "files:write"}), (bytes(32), b"\xff" * 32))
KEY = PublicKey("kid", {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}, "ref")


@pytest.fixture(params=["memory", "moto"])
def access(request: pytest.FixtureRequest) -> Iterator[Registry]:
    """An empty access table, as an operator has it; the functions have less of it."""
    if request.param == "memory":
        yield MemoryAccess()
        return
    with mock_aws():
        session = AwsSession({})
        make_table(session.dynamodb, "AccessTable", "access")
        yield AdminTable(session.dynamodb, "access")


@pytest.fixture(params=["memory", "moto"])
def signer(request: pytest.FixtureRequest) -> Iterator[tuple[Signer, str]]:
    """A signer, and a key it has."""
    if request.param == "memory":
        yield MemorySigner(), "key"
        return
    with mock_aws():
        wanted = properties("SigningKey")
        made = boto3.client("kms").create_key(KeySpec=wanted["KeySpec"], KeyUsage=wanted["KeyUsage"])
        yield KmsSigner(AwsSession({}).kms), made["KeyMetadata"]["KeyId"]


def test_clients_are_kept_as_they_are(access: AccessStore) -> None:
    """Every member comes back; putting again replaces; an unknown id is None."""
    assert access.client(CLIENT.client_id) is None
    access.put_client(CLIENT)
    assert access.client(CLIENT.client_id) == CLIENT
    bare = Client(CLIENT.client_id, "other", frozenset(), (), disabled=True, created_at=1, rotated_at=2)
    access.put_client(bare)
    assert access.client(CLIENT.client_id) == bare


def test_the_keyring_is_replaced_only_if_it_is_the_one_seen(access: AccessStore) -> None:
    """Two who publish at once: one wins, the other is told."""
    first = Keyring("kid", (KEY,))
    second = Keyring("kid", (KEY, PublicKey("2", KEY.jwk, "ref2", published_at=1, replaced_at=2)), {"one": 3})
    assert access.keyring() is None
    with pytest.raises(Moved):
        access.publish(second, over=first)
    access.publish(first, over=None)
    with pytest.raises(Moved):
        access.publish(second, over=None)
    access.publish(second, over=first)
    assert access.keyring() == second
    with pytest.raises(Moved):
        access.publish(first, over=first)
    assert access.keyring() == second


def act(event: str = "client.add", at: int = 1_790_000_000_123) -> Act:
    return Act(at, "arn:operator", event, CLIENT.client_id, {"why": "a test"})


def test_an_act_and_its_rows_are_written_together(access: Registry) -> None:
    """The client, the keyring and the act, all three; what was done is listed, the latest first."""
    ring = Keyring("kid", (KEY,))
    access.commit(act(), client=Change(CLIENT, None), keyring=Change(ring, None))
    later = act("client.disable", at=1_790_000_000_124)
    access.commit(later)
    assert access.client(CLIENT.client_id) == CLIENT
    assert access.keyring() == ring
    assert list(access.acts()) == [later, act()]


def test_a_condition_that_fails_leaves_nothing_behind(access: Registry) -> None:
    """Neither the other row nor the act: whichever of the two rows has moved."""
    ring = Keyring("kid", (KEY,))
    access.commit(act(), client=Change(CLIENT, None), keyring=Change(ring, None))
    seen, seen_ring = access.client(CLIENT.client_id), access.keyring()
    changed = replace(CLIENT, disabled=True)
    access.commit(act("client.disable"), client=Change(changed, seen))
    moved = Keyring("kid", (), {"x": 1})
    for client, keyring in (
        (Change(CLIENT, seen), Change(moved, seen_ring)),
        (Change(CLIENT, None), Change(moved, seen_ring)),
        (Change(replace(CLIENT, client_id="new"), None), Change(moved, None)),
    ):
        with pytest.raises(Moved):
            access.commit(act("never"), client=client, keyring=keyring)
    assert access.client(CLIENT.client_id) == changed
    assert access.client("new") is None
    assert access.keyring() == ring
    assert len(list(access.acts())) == 2


def test_clients_are_listed_by_id(access: Registry) -> None:
    """All of them, and nothing else that is in the table."""
    assert list(access.clients()) == []
    access.commit(act(), keyring=Change(Keyring("kid", (KEY,)), None))
    some = [replace(CLIENT, client_id=client_id) for client_id in ("b", "a", "c")]
    for client in some:
        access.put_client(client)
    assert [client.client_id for client in access.clients()] == ["a", "b", "c"]


def test_signatures_verify_with_the_public_half(signer: tuple[Signer, str]) -> None:
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
def test_rows_of_before_versions_were_counted() -> None:
    """What an earlier Ferry wrote has no version and no times; it is read, and written over, all the same."""
    session = AwsSession({})
    make_table(session.dynamodb, "AccessTable", "access")
    key: Any = {"kid": {"S": "kid"}, "key_ref": {"S": "ref"}, "jwk": {"M": {}}}
    old: Any = {"pk": {"S": "KEYRING"}, "signing_kid": {"S": "kid"}, "keys": {"L": [{"M": key}]}}
    session.dynamodb.put_item(TableName="access", Item=old)
    table = AdminTable(session.dynamodb, "access")
    seen = table.keyring()
    assert seen == Keyring("kid", (PublicKey("kid", {}, "ref"),))
    table.publish(Keyring("kid", ()), over=seen)
    with pytest.raises(Moved):
        table.publish(Keyring("kid", ()), over=seen)
