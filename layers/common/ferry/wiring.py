"""The composition root: factories, each kept for the life of the process, so that a function makes only what it uses.

Imports are inside on purpose: a function that checks tokens and reads one table must not load what signs tokens.
"""

from __future__ import annotations

import os
from functools import cache, partial
from typing import TYPE_CHECKING

from ferry.aws.clock import wall_clock
from ferry.settings import Settings

if TYPE_CHECKING:
    from ferry.auth.issuer import Issuer
    from ferry.auth.key_cache import KeySetCache
    from ferry.auth.verifier import TokenVerifier
    from ferry.aws.dynamo import Table
    from ferry.aws.session import AwsSession
    from ferry.ports.auth import AuthStore
    from ferry.ports.completion_queue import CompletionQueue
    from ferry.ports.event_publisher import EventPublisher
    from ferry.ports.permit_pool import PermitPool
    from ferry.services import Services


JWKS_TIMEOUT_SECONDS, MAX_JWKS_BYTES = 3.0, 256 * 1024
"""What an issuer's key set may take at most."""


@cache
def settings() -> Settings:
    return Settings.from_environment(os.environ)


def log_file_names() -> bool:
    return settings().log_file_names


def tracing_enabled() -> bool:
    """Whether requests are traced."""
    return settings().tracing_enabled


@cache
def aws_session() -> AwsSession:
    from ferry.aws.session import AwsSession

    return AwsSession(settings().endpoints)


@cache
def metadata_table() -> Table:
    from ferry.aws.dynamo import Table

    return Table(aws_session().dynamodb, settings().metadata_table)


@cache
def auth_store() -> AuthStore:
    from ferry.aws.auth_table import AuthTable

    return AuthTable(aws_session().dynamodb, settings().auth_table)


@cache
def key_set_cache() -> KeySetCache:
    from ferry.auth.key_cache import KeySetCache

    return KeySetCache(auth_store(), wall_clock, settings().auth_cache_ttl_ms)


@cache
def token_verifier() -> TokenVerifier:
    """Who checks tokens: Ferry's own, those of an issuer outside, or both."""
    from ferry.auth.verifier import InternalVerifier

    trust = settings().external_issuer
    own = InternalVerifier(key_set_cache(), issuer=settings().issuer, audience=settings().audience)
    if trust is None:
        return own
    from ferry.auth.external import ExternalKeys, ExternalVerifier, IssuerDispatchVerifier
    from ferry.auth.fetch import check_url, fetch

    check_url(trust.jwks_url, allow_http_on_loopback=bool(settings().endpoints))
    fetch_keys = partial(fetch, trust.jwks_url, timeout_seconds=JWKS_TIMEOUT_SECONDS, max_bytes=MAX_JWKS_BYTES)
    outside = ExternalVerifier(ExternalKeys(fetch_keys, wall_clock), trust)
    return IssuerDispatchVerifier(own, outside, trust.url) if settings().issue_tokens else outside


@cache
def token_issuer() -> Issuer:
    """Who issues tokens, and publishes the keys they are checked with."""
    from ferry.auth.issuer import Issuer
    from ferry.aws.kms import KmsSigner

    return Issuer(
        store=auth_store(),
        key_set_cache=key_set_cache(),
        signer=KmsSigner(aws_session().kms),
        clock=wall_clock,
        key_ref=settings().signing_key_id,
        issuer=settings().issuer,
        audience=settings().audience,
        token_ttl_seconds=settings().token_ttl_seconds,
        enabled=settings().issue_tokens,
    )


@cache
def completion_queue() -> CompletionQueue:
    """Who goes on with completions that take too long here. Beside stand-ins there is one only if they have it too."""
    name, endpoints = settings().cleanup_function, settings().endpoints
    if not name or (endpoints and "lambda" not in endpoints):
        from ferry.services import NullCompletionQueue

        return NullCompletionQueue()
    from ferry.aws.completion_queue import LambdaCompletionQueue

    return LambdaCompletionQueue(aws_session().lambda_, name)


@cache
def permit_pool() -> PermitPool | None:
    """Places for calls that wait, in the one function where any do."""
    if not settings().max_long_polls:
        return None
    from ferry.aws.permits import DynamoPermitPool

    return DynamoPermitPool(metadata_table(), settings().max_long_polls)


@cache
def event_publisher() -> EventPublisher | None:
    """Who tells others what has changed, if anybody is to. Beside stand-ins only where they have a bus too."""
    bus, endpoints = settings().event_bus, settings().endpoints
    if not bus or (endpoints and "events" not in endpoints):
        return None
    from ferry.aws.event_publisher import EventBridgePublisher

    return EventBridgePublisher(lambda: aws_session().events, bus, settings().bucket, wall_clock)


@cache
def services() -> Services:
    """What the use cases work with."""
    from ferry.aws.cleanup_repository import DynamoCleanupRepository
    from ferry.aws.objects import S3ObjectStore
    from ferry.aws.upload_repository import DynamoUploadRepository
    from ferry.services import Services

    return Services(
        upload_repository=DynamoUploadRepository(metadata_table()),
        cleanup_repository=DynamoCleanupRepository(metadata_table()),
        object_store=S3ObjectStore(aws_session().s3, settings().bucket, aws_session().s3_public),
        completion_queue=completion_queue(),
        clock=wall_clock,
        upload_idle_timeout_ms=settings().upload_idle_timeout_ms,
        upload_max_age_ms=settings().upload_max_age_ms,
        presigned_url_ttl_seconds=settings().presigned_url_ttl_seconds,
        lease_duration_ms=settings().lease_duration_ms,
        assembly_budget_ms=settings().assembly_budget_ms,
        permit_pool=permit_pool(),
        orphan_retention_ms=settings().orphan_retention_ms,
        event_publisher=event_publisher(),
    )
