"""One suite for the access store and the signer: in memory, and over moto."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import jwt
import pytest
from moto import mock_aws

from ferry.aws.access_table import AccessTable
from ferry.aws.kms import KmsSigner
from ferry.aws.session import AwsSession
from ferry.model import Client, Keyring, PublicKey
from ferry.ports import AccessStore, Moved, Signer
from tests.fakes.access import MemoryAccess, MemorySigner
from tests.support.template import make_table, properties

CLIENT = Client("an id: é", "ns", frozenset({"files:read", "files:write"}), (bytes(32), b"\xff" * 32))
KEY = PublicKey("kid", {"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}, "ref")


@pytest.fixture(params=["memory", "moto"])
def access(request: pytest.FixtureRequest) -> Iterator[AccessStore]:
    """An empty access."""
    if request.param == "memory":
        yield MemoryAccess()
        return
    with mock_aws():
        session = AwsSession({})
        make_table(session.dynamodb, "AccessTable", "access")
        yield AccessTable(session.dynamodb, "access")


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
    bare = Client(CLIENT.client_id, "other", frozenset(), (), disabled=True)
    access.put_client(bare)
    assert access.client(CLIENT.client_id) == bare


def test_the_keyring_is_replaced_only_if_it_is_the_one_seen(access: AccessStore) -> None:
    """Two who publish at once: one wins, the other is told."""
    first, second = Keyring("kid", (KEY,)), Keyring("kid", (KEY, PublicKey("2", KEY.jwk, "ref2")))
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
