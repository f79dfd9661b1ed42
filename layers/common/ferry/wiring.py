"""The composition root: one factory per component, each cached for the life of the process.

A function calls only the factories that it needs. Imports are inside the factories, so that a cold start loads no more
than that: the check of a token must not load the code that signs one.
"""

from __future__ import annotations

import os
from functools import cache, partial
from typing import TYPE_CHECKING

from ferry.aws.clock import wall_clock
from ferry.settings import ExternalIssuer, Settings, is_snapshot_start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ferry.auth.external import ExternalVerifier
    from ferry.auth.issuer import Issuer
    from ferry.auth.key_cache import KeySetCache
    from ferry.auth.link_verifier import LinkVerifier
    from ferry.auth.verifier import InternalVerifier, TokenVerifier
    from ferry.aws.dynamo import Table
    from ferry.aws.session import AwsSession
    from ferry.links.lookup import Links
    from ferry.ports.auth import AuthStore
    from ferry.ports.completion_queue import CompletionQueue
    from ferry.ports.event_publisher import EventPublisher
    from ferry.ports.link_repository import LinkRepository
    from ferry.ports.permit_pool import PermitPool
    from ferry.services import Services


JWKS_TIMEOUT_SECONDS = 3.0
"""Time for reading an external issuer's key set, in all."""
MAX_JWKS_BYTES = 256 * 1024
"""Size of an external issuer's key set at most."""


@cache
def settings() -> Settings:
    """Return the settings from this process's environment."""
    return Settings.from_environment(os.environ)


def log_file_names() -> bool:
    """Return whether audit events contain filenames."""
    return settings().log_file_names


def tracing_enabled() -> bool:
    """Return whether requests are traced."""
    return settings().tracing_enabled


def bucket_origin() -> str:
    """Return the origin of presigned URLs: S3's name for the bucket in this region, or an emulator's address."""
    endpoints = settings().endpoints
    endpoint = endpoints.get("s3_public") or endpoints.get("s3")
    if endpoint:
        return endpoint.rstrip("/")
    region = os.environ["AWS_REGION"]
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{settings().bucket}.s3.{region}.{suffix}"


@cache
def aws_session() -> AwsSession:
    """Return the AWS clients."""
    from ferry.aws.session import AwsSession

    return AwsSession(settings().endpoints)


def _is_available(service: str) -> bool:
    """Return whether the service can be called. True on AWS. With emulators: true if this service is emulated."""
    endpoints = settings().endpoints
    return not endpoints or service in endpoints


def load_before_snapshot(
    *factories: Callable[[], object],
    clients: Sequence[str] = (),
    json_bodies: bool = False,
    modules: Sequence[str] = (),
) -> None:
    """With SnapStart, load these before the snapshot, so that restored instances need not. Otherwise do nothing.

    Args:
        factories: components of the function; each creates the clients that it holds.
        clients: further clients, by the names of `AwsSession`.
        json_bodies: whether the function reads JSON bodies.
        modules: what the routes import when they are first used; of a package, all its modules.
    """
    if not is_snapshot_start(os.environ):
        return
    from snapshot_restore_py import register_before_snapshot

    register_before_snapshot(_load, factories, clients, json_bodies, modules)


def _load(
    factories: Sequence[Callable[[], object]], clients: Sequence[str], json_bodies: bool, modules: Sequence[str]
) -> None:
    from ferry.http import preload

    preload.load(json_bodies=json_bodies, modules=modules)
    if aws_session().load_for_snapshot("dynamodb", *clients):
        for factory in factories:
            factory()


# Authentication


@cache
def auth_store() -> AuthStore:
    """Return the store of clients and published keys."""
    from ferry.aws.auth_table import AuthTable

    return AuthTable(aws_session().dynamodb, settings().auth_table)


@cache
def key_set_cache() -> KeySetCache:
    """Return the cache of the published keys, shared by verifier and issuer."""
    from ferry.auth.key_cache import KeySetCache

    return KeySetCache(auth_store(), wall_clock, settings().auth_cache_ttl_ms)


@cache
def token_verifier() -> TokenVerifier:
    """Return the verifier for tokens of clients (`client_verifier`) and for those of links."""
    from ferry.auth.verifier import LinkDispatchVerifier

    return LinkDispatchVerifier(client_verifier(), link_verifier)


@cache
def link_verifier() -> LinkVerifier:
    """Return the verifier for tokens of links, which Ferry issues in any case."""
    from ferry.auth.link_verifier import LinkVerifier

    return LinkVerifier(key_set_cache(), issuer=settings().issuer)


@cache
def client_verifier() -> TokenVerifier:
    """Return the verifier for Ferry's own tokens, those of an external issuer, or both."""
    external_issuer = settings().external_issuer
    if external_issuer is None:
        return _internal_verifier()
    external = _external_verifier(external_issuer)
    if not settings().issue_tokens:
        return external
    from ferry.auth.external import IssuerDispatchVerifier

    return IssuerDispatchVerifier(_internal_verifier(), external, external_issuer.url)


def _internal_verifier() -> InternalVerifier:
    from ferry.auth.verifier import InternalVerifier

    return InternalVerifier(key_set_cache(), issuer=settings().issuer, audience=settings().audience)


def _external_verifier(external_issuer: ExternalIssuer) -> ExternalVerifier:
    from ferry.auth.external import ExternalKeys, ExternalVerifier
    from ferry.auth.fetch import check_url, fetch

    url = external_issuer.jwks_url
    check_url(url, allow_http_on_loopback=bool(settings().endpoints))
    fetch_jwks = partial(fetch, url, timeout_seconds=JWKS_TIMEOUT_SECONDS, max_bytes=MAX_JWKS_BYTES)
    return ExternalVerifier(ExternalKeys(fetch_jwks, wall_clock), external_issuer)


@cache
def token_issuer() -> Issuer:
    """Return the token issuer, which also publishes the public keys."""
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


# Uploads, downloads, status, cleanup


@cache
def metadata_table() -> Table:
    """Return the metadata table, shared by its repositories."""
    from ferry.aws.dynamo import Table

    return Table(aws_session().dynamodb, settings().metadata_table)


@cache
def services() -> Services:
    """Return what every use case receives: backends, clock and limits."""
    from ferry.aws.cleanup_repository import DynamoCleanupRepository
    from ferry.aws.file_repository import DynamoFileRepository
    from ferry.aws.objects import S3ObjectStore
    from ferry.aws.sequential_repository import DynamoSequentialRepository
    from ferry.aws.upload_repository import DynamoUploadRepository
    from ferry.services import Services

    return Services(
        upload_repository=DynamoUploadRepository(metadata_table()),
        sequential_repository=DynamoSequentialRepository(metadata_table()),
        file_repository=DynamoFileRepository(metadata_table()),
        link_repository=link_repository,
        cleanup_repository=DynamoCleanupRepository(metadata_table()),
        object_store=S3ObjectStore(
            aws_session().s3,
            settings().bucket,
            aws_session().s3_public,
            completion_client=lambda: aws_session().s3_completion,
            credentials_expire_at=aws_session().credentials_expire_at,
            storage_class=settings().storage_class,
        ),
        completion_queue=completion_queue(),
        clock=wall_clock,
        upload_idle_timeout_ms=settings().upload_idle_timeout_ms,
        upload_max_age_ms=settings().upload_max_age_ms,
        presigned_url_ttl_seconds=settings().presigned_url_ttl_seconds,
        lease_duration_ms=settings().lease_duration_ms,
        function_timeout_ms=settings().function_timeout_ms,
        assembly_budget_ms=settings().assembly_budget_ms,
        permit_pool=permit_pool(),
        orphan_retention_ms=settings().orphan_retention_ms,
        deleted_file_retention_ms=settings().deleted_file_retention_ms,
        event_publisher=event_publisher(),
    )


@cache
def link_repository() -> LinkRepository:
    """Return the links in the metadata store."""
    from ferry.aws.link_repository import DynamoLinkRepository

    return DynamoLinkRepository(metadata_table())


@cache
def links() -> Links:
    """Return the links, with the cache of this instance."""
    from ferry.links.lookup import Links

    return Links(link_repository(), key_set_cache().is_client_disabled, wall_clock, settings().auth_cache_ttl_ms)


def client_address_header() -> str:
    """Return the header in which a CDN sends the client's address; empty for none."""
    return settings().client_address_header


@cache
def completion_queue() -> CompletionQueue:
    """Return the queue of long completions, or a queue that drops entries if no cleanup function is set."""
    if not settings().cleanup_function or not _is_available("lambda"):
        from ferry.services import NullCompletionQueue

        return NullCompletionQueue()
    from ferry.aws.completion_queue import LambdaCompletionQueue

    return LambdaCompletionQueue(aws_session().lambda_, settings().cleanup_function)


@cache
def permit_pool() -> PermitPool | None:
    """Return the permits for long polls, or None if their number has no limit."""
    if not settings().max_long_polls:
        return None
    from ferry.aws.permits import DynamoPermitPool

    return DynamoPermitPool(metadata_table(), settings().max_long_polls)


@cache
def event_publisher() -> EventPublisher | None:
    """Return the publisher of events, or None if events are disabled."""
    if not settings().event_bus or not _is_available("events"):
        return None
    from ferry.aws.event_publisher import EventBridgePublisher

    return EventBridgePublisher(lambda: aws_session().events, settings().event_bus, settings().bucket, wall_clock)
