"""The one place where botocore's errors become Ferry's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from ferry.errors import BackendUnavailable


@contextmanager
def translated(*passing: str) -> Iterator[None]:
    """Within it, a failure of AWS or on the way there is `BackendUnavailable`, the cause chained for the logs.

    `ClientError`s whose code is among `passing` are part of the conversation and come through as they are.
    """
    try:
        yield
    except ClientError as error:
        if code_of(error) in passing:
            raise
        raise BackendUnavailable from error
    except BotoCoreError as error:
        raise BackendUnavailable from error


def code_of(error: ClientError) -> str:
    """The error code as the service named it; for an answer without a body, its HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))
