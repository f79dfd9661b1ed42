"""Timeouts and attempts of the AWS clients."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

from dev.testing.function_environment import FUNCTION_ENVIRONMENT
from ferry import wiring
from ferry.aws import session
from tests.unit.aws.scripted import make_session

GATEWAY_TIMEOUT_SECONDS = 30


class _Body(io.BytesIO):
    """The body of a response, as urllib3 has it."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


@pytest.mark.parametrize(
    ("attempts", "read_timeout"),
    [(session.MAX_ATTEMPTS, session.READ_TIMEOUT_SECONDS), (session.S3_MAX_ATTEMPTS, session.S3_READ_TIMEOUT_SECONDS)],
)
def test_timeouts_leave_time_for_response(attempts: int, read_timeout: int) -> None:
    """All attempts of a call end within two thirds of the gateway's timeout, so that Ferry can still respond 503."""
    assert attempts * (session.CONNECT_TIMEOUT_SECONDS + read_timeout) <= GATEWAY_TIMEOUT_SECONDS * 2 / 3


def test_completion_client_waits_longer_for_s3() -> None:
    """The client for CompleteMultipartUpload differs from the other one in its read timeout alone."""
    clients: list[Any] = [make_session().s3_completion, make_session().s3]
    completion, other = (client.meta.config for client in clients)
    assert (completion.read_timeout, other.read_timeout) == (60, session.S3_READ_TIMEOUT_SECONDS)
    for name in ("signature_version", "request_checksum_calculation", "response_checksum_validation", "s3", "retries"):
        assert getattr(completion, name) == getattr(other, name)


def test_credentials_expire_at_reads_temporary_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The expiry of temporary credentials is known where their source names it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_CREDENTIAL_EXPIRATION", raising=False)
    assert make_session().credentials_expire_at() is None
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", expires_at.isoformat())
    assert make_session().credentials_expire_at() == int(expires_at.timestamp()) * 1_000


def test_credentials_expire_at_is_that_of_refreshed_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that end within minutes are refreshed first, so the expiry is that of the next signature."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    old = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=2)
    new = old + timedelta(hours=6)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", old.isoformat())
    aws_session = make_session()
    assert aws_session.credentials_expire_at() == int(old.timestamp()) * 1_000
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", new.isoformat())
    assert aws_session.credentials_expire_at() == int(new.timestamp()) * 1_000


def test_object_store_has_completion_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The functions' object store completes with the client for it, and reads when its credentials expire."""
    for name, value in (FUNCTION_ENVIRONMENT | {"AWS_DEFAULT_REGION": "us-east-1"}).items():
        monkeypatch.setenv(name, value)
    factories = (wiring.settings, wiring.aws_session, wiring.services)
    for factory in factories:
        factory.cache_clear()
    try:
        store: Any = wiring.services().object_store
        assert store._completion_client().meta.config.read_timeout == session.S3_COMPLETION_READ_TIMEOUT_SECONDS
        assert store._credentials_expire_at == wiring.aws_session().credentials_expire_at
    finally:
        for factory in factories:
            factory.cache_clear()


@pytest.mark.parametrize("service", ["lambda", "events"])
def test_dead_connection_is_retried(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """A call over a connection that ended while the instance was frozen succeeds at the second attempt."""
    attempts: list[str] = []

    def send(_: object, request: Any) -> object:
        attempts.append(request.url)
        if len(attempts) == 1:
            raise ConnectionClosedError(endpoint_url=request.url)
        headers: Any = {}
        return AWSResponse(request.url, 202, headers, _Body(b"{}"))

    for name, value in {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(URLLib3Session, "send", send)
    monkeypatch.setattr("time.sleep", lambda _: None)
    clients = make_session()
    if service == "lambda":
        clients.lambda_.invoke(FunctionName="cleanup", InvocationType="Event", Payload=b"{}")
    else:
        clients.events.put_events(Entries=[{"Source": "ferry"}])
    assert len(attempts) == 2
