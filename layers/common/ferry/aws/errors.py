"""Conversion of botocore's errors to Ferry's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from ferry.errors import BackendUnavailable, Throttled

_THROTTLING_CODES = frozenset(
    {
        *("SlowDown", "ServiceUnavailable", "503", "429", "TooManyRequests", "TooManyRequestsException"),
        *("ThrottlingException", "Throttling", "ThrottledException", "RequestThrottled", "ThrottlingError"),
        *("ProvisionedThroughputExceededException", "RequestLimitExceeded", "LimitExceededException"),
    }
)


@contextmanager
def map_errors(*passthrough: str) -> Iterator[None]:
    """Raise botocore's errors within the context as `BackendUnavailable`, or `Throttled` if AWS limits the rate.

    The cause is chained, for the logs. A `ClientError` with a `passthrough` code is raised as it is.
    """
    try:
        yield
    except ClientError as error:
        if error_code(error) in passthrough:
            raise
        raise (Throttled if is_throttled(error) else BackendUnavailable) from error
    except BotoCoreError as error:
        raise BackendUnavailable from error


def is_throttled(error: ClientError) -> bool:
    """Return whether AWS rejected the call for its rate, by the error code or the HTTP status."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return error_code(error) in _THROTTLING_CODES or status in {429, 503}


def error_code(error: ClientError) -> str:
    """Return the service's error code; for a response without a body, its HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))
