"""The one place where botocore's errors become Ferry's."""

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
    """Within it, a failure of AWS or on the way there is `BackendUnavailable`, the cause chained for the logs; one that
    says that there is too much to do is `Throttled`.

    `ClientError`s whose code is among `passing` are part of the conversation and come through as they are.
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
    """Whether the service has too much to do: it says so in many words, and with two statuses."""
    return error_code(error) in _THROTTLING_CODES or error.response.get("ResponseMetadata", {}).get(
        "HTTPStatusCode"
    ) in {
        429,
        503,
    }


def error_code(error: ClientError) -> str:
    """The error code as the service named it; for an answer without a body, its HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))
