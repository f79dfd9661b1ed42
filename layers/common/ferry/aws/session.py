"""AWS clients, made when first asked for and then kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

MAX_ATTEMPTS = 3
CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 2
S3_MAX_ATTEMPTS = 2
S3_READ_TIMEOUT_SECONDS = 8
"""Seconds of silence. A backend that stalls must become an answer of ours before the function's time is up; S3 sends
white space while it takes its time over a completion.
"""
INVOKE_TIMEOUT_SECONDS = 4
MAX_CONNECTIONS = 32


class AwsSession:
    """One process's clients. `endpoints` maps services (`s3`, `dynamodb`, `kms`, `lambda`, `events`; `s3_public`) to
    other addresses than AWS's.
    """

    def __init__(self, endpoints: Mapping[str, str]) -> None:
        self._endpoints = endpoints

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        return cast("DynamoDBClient", self._client("dynamodb", self._endpoints.get("dynamodb")))

    @cached_property
    def kms(self) -> KMSClient:
        return cast("KMSClient", self._client("kms", self._endpoints.get("kms")))

    @cached_property
    def events(self) -> EventBridgeClient:
        # What it does not take stays noted, and is sent by the sweep: no request waits for a second try.
        once = {"mode": "standard", "total_max_attempts": 1}
        return cast("EventBridgeClient", self._client("events", self._endpoints.get("events"), retries=once))

    @cached_property
    def lambda_(self) -> LambdaClient:
        # It is asked at the end of a request that has already taken long, and whoever sweeps stands behind it.
        once = {"mode": "standard", "total_max_attempts": 1}
        endpoint = self._endpoints.get("lambda")
        return cast("LambdaClient", self._client("lambda", endpoint, read_timeout=INVOKE_TIMEOUT_SECONDS, retries=once))

    @cached_property
    def s3(self) -> S3Client:
        return self._s3(self._endpoints.get("s3"))

    @cached_property
    def s3_public(self) -> S3Client:
        """For signing URLs: S3 under the address that clients reach."""
        public = self._endpoints.get("s3_public")
        return self._s3(public) if public else self.s3

    def _s3(self, endpoint: str | None) -> S3Client:
        # Checksums are given explicitly where they matter; botocore's own default would sign that of an empty body into
        # every presigned URL. A stand-in has no host name for each bucket, hence the path style.
        client = self._client(
            "s3",
            endpoint,
            read_timeout=S3_READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": S3_MAX_ATTEMPTS},
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if endpoint else "virtual"},
        )
        return cast("S3Client", client)

    @cached_property
    def _session(self) -> Session:
        # boto3's session makes the same clients, and loads what transfers and resources need on top.
        from botocore.session import Session

        return Session()

    def _client(self, service: str, endpoint: str | None, **options: object) -> object:
        from botocore.config import Config

        defaults: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "read_timeout": READ_TIMEOUT_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            "max_pool_connections": MAX_CONNECTIONS,
            "tcp_keepalive": True,
        }
        make = cast("Callable[..., object]", self._session.create_client)
        return make(service, endpoint_url=endpoint, config=Config(**defaults | options))
