"""AWS clients, each created at its first use and then kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from ferry.rules.durations import SECOND_MS

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

MAX_ATTEMPTS = 3
"""Attempts of a call, except to S3, Lambda and EventBridge."""

CONNECT_TIMEOUT_SECONDS = 1
"""Time in which a connection must be open."""

READ_TIMEOUT_SECONDS = 2
"""Longest silence, except of S3 and Lambda. Timeouts and attempts together stay below the functions' timeouts."""

S3_MAX_ATTEMPTS = 2
"""Attempts of a call to S3."""

S3_READ_TIMEOUT_SECONDS = 8
"""Longest silence of S3, except during CompleteMultipartUpload."""

S3_COMPLETION_READ_TIMEOUT_SECONDS = 60
"""Longest silence of S3 during CompleteMultipartUpload. S3 sends white space now and then, and names no interval."""

INVOKE_TIMEOUT_SECONDS = 2
"""Longest silence of Lambda after an asynchronous invocation."""

SHORT_MAX_ATTEMPTS = 2
"""Attempts of a call to Lambda or EventBridge. One is not enough: a connection that ended while the instance was frozen
fails at its first use. Cleanup repeats what fails twice.
"""

MAX_BACKOFF_SECONDS = 1
"""Longest wait of botocore before the second attempt."""

MAX_CONNECTIONS = 32
"""Connections that one client keeps open."""

_SHORT_RETRIES = {"mode": "standard", "total_max_attempts": SHORT_MAX_ATTEMPTS}


def parse_timestamp(value: str | float) -> datetime:
    """Return a time of a response: an HTTP date, as in S3's headers, or RFC 3339, as in its lists.

    Other forms, such as epoch seconds, are left to botocore.
    """
    try:
        if isinstance(value, str) and value.endswith("GMT"):
            return parsedate_to_datetime(value)
        if isinstance(value, str) and value.endswith("Z") and "T" in value:
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    from botocore.utils import parse_timestamp as parse_any

    return parse_any(cast("Any", value))  # its stub does not say that it takes numbers


def send_body_at_once(params: dict[str, Any], **_: object) -> None:
    """Change a call of S3 before it is signed: its body follows the headers without waiting for `100 Continue`.

    botocore makes a file of a body, whose sending costs a round trip of its own and then one system call for every
    16 KiB. Bodies here have 4 or 8 MiB as a rule: if S3 rejects a call early, little was sent in vain.
    """
    params["headers"].pop("Expect", None)
    if isinstance(params["body"], BytesIO):
        params["body"] = params["body"].getvalue()


class AwsSession:
    """The clients of one instance of a function.

    Args:
        endpoints: addresses of emulators by service: `s3`, `s3_public`, `dynamodb`, `kms`, `lambda`, `events`. Services
            that are missing are AWS's.
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
        # An unpublished event stays pending, and cleanup publishes it.
        return cast("EventBridgeClient", self._client("events", self._endpoints.get("events"), retries=_SHORT_RETRIES))

    @cached_property
    def lambda_(self) -> LambdaClient:
        # The request has already taken long. Cleanup continues a completion that was not enqueued.
        endpoint = self._endpoints.get("lambda")
        return cast(
            "LambdaClient",
            self._client("lambda", endpoint, read_timeout=INVOKE_TIMEOUT_SECONDS, retries=_SHORT_RETRIES),
        )

    @cached_property
    def s3(self) -> S3Client:
        return self._s3(self._endpoints.get("s3"))

    @cached_property
    def s3_public(self) -> S3Client:
        """The client for presigned URLs, with the address at which clients reach S3."""
        public = self._endpoints.get("s3_public")
        return self._s3(public) if public else self.s3

    @cached_property
    def s3_completion(self) -> S3Client:
        """The client for CompleteMultipartUpload. The caller limits the time of a call; S3 completes without it."""
        return self._s3(self._endpoints.get("s3"), read_timeout_seconds=S3_COMPLETION_READ_TIMEOUT_SECONDS)

    def load_for_snapshot(self, *clients: str) -> bool:
        """Create these clients, by the names of this class, before SnapStart takes a snapshot. No connection remains.

        Returns False, and creates none, if the credentials cannot be read or cannot be refreshed: clients keep them,
        and a restored instance would use those of the snapshot.
        """
        from botocore.credentials import ContainerProvider, RefreshableCredentials
        from botocore.exceptions import BotoCoreError
        from botocore.httpsession import URLLib3Session
        from botocore.utils import ContainerMetadataFetcher

        # Lambda's endpoint of credentials, over connections that can be closed.
        http = URLLib3Session(timeout=ContainerMetadataFetcher.TIMEOUT_SECONDS)
        fetcher = cast("Any", ContainerMetadataFetcher(session=http))  # the stubs name another class
        provider = ContainerProvider(fetcher=fetcher)
        self._session.get_component("credential_provider").insert_before(ContainerProvider.METHOD, provider)
        try:
            if not isinstance(self._session.get_credentials(), RefreshableCredentials):
                del self._session
                return False
            for name in clients:
                getattr(self, name)
        except (BotoCoreError, OSError):
            return False
        finally:
            http.close()
        return True

    def credentials_expire_at(self) -> int | None:
        """Return when the credentials expire, in epoch milliseconds; None if their source does not say.

        Credentials that end within minutes are refreshed first. The environment variables of a function name no expiry;
        with SnapStart, Lambda's credentials endpoint does.
        """
        from botocore.credentials import RefreshableCredentials

        credentials = self._session.get_credentials()
        if not isinstance(credentials, RefreshableCredentials):
            return None
        credentials.get_frozen_credentials()
        # botocore has no public name for it.
        expiry_time = getattr(credentials, "_expiry_time", None)
        return None if expiry_time is None else int(expiry_time.timestamp() * SECOND_MS)

    def _s3(self, endpoint: str | None, *, read_timeout_seconds: int = S3_READ_TIMEOUT_SECONDS) -> S3Client:
        # The adapter sends checksums itself. By default, botocore would sign the checksum of an empty body into every
        # presigned URL. Emulators have no host name for each bucket, so they need path-style addresses.
        client = self._client(
            "s3",
            endpoint,
            read_timeout=read_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": S3_MAX_ATTEMPTS},
            signature_version="s3v4",
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # botocore would hash each body with SHA-256 for its signature, also over TLS, because the checksum comes
            # from the caller. Chunks and parts have a CRC32C in a signed header, which S3 compares.
            s3={"addressing_style": "path" if endpoint else "virtual", "payload_signing_enabled": False},
        )
        s3_client = cast("S3Client", client)
        s3_client.meta.events.register_last("before-call.s3", send_body_at_once)
        return s3_client

    @cached_property
    def _session(self) -> Session:
        # boto3's session creates the same clients, but also loads resources and transfers: slower cold starts.
        from botocore.session import Session

        session = Session()
        # dateutil, botocore's own parser, takes a tenth of the time of a GetObject.
        factory = session.get_component("response_parser_factory")
        factory.set_parser_defaults(timestamp_parser=parse_timestamp)
        return session

    def _client(self, service: str, endpoint: str | None, **options: object) -> object:
        from botocore.config import Config

        defaults: dict[str, Any] = {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "read_timeout": READ_TIMEOUT_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
            "max_pool_connections": MAX_CONNECTIONS,
            "tcp_keepalive": True,
            # Without one, botocore builds the header twice for each call, from thirty parts that are the same each
            # time: a sixth of the time of a call.
            "user_agent": self._session.user_agent(),
        }
        create_client = cast("Callable[..., object]", self._session.create_client)
        return create_client(service, endpoint_url=endpoint, config=Config(**defaults | options))
