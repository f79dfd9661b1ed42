"""Log lines for operators: errors with their places in the code, sweeps, and audit events.

They never contain bodies, headers, tokens, secrets or signatures. They contain file names only where the operator has
switched them on (`LogFileNames`).
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

MAX_MESSAGE_LENGTH = 500
"""Characters of a logged message of AWS."""

SUCCESS = "success"
"""The outcome of an audit event whose request succeeded; other outcomes are error codes."""


@cache
def _logger() -> Logger:
    # Imported for the first line: a cold start logs nothing.
    import logging

    from aws_lambda_powertools import Logger

    logger = Logger(utc=True, use_rfc3339=True, location=None)
    # Powertools takes Lambda's log level, DEBUG or INFO, instead of `LogLevel`. Lambda filters no higher: it would drop
    # metrics and audit events with the rest.
    level = os.environ.get("POWERTOOLS_LOG_LEVEL", "")  # noqa: TID251 - a setting of Powertools, not of Ferry
    minimum = logging.getLevelNamesMapping().get(level, logging.NOTSET)
    logger.addFilter(lambda record: record.levelno >= minimum)
    return logger


@cache
def _audit_logger() -> Logger:
    # A logger with a level of its own: `LogLevel` does not silence audit events.
    from aws_lambda_powertools import Logger

    return Logger(service="ferry-audit", level="INFO", utc=True, use_rfc3339=True, location=None)


def load() -> None:
    """Create the loggers, which is otherwise done for the first line."""
    _logger()
    _audit_logger()


def log_unexpected(error: Exception, *, request_id: str, route: str) -> None:
    """Log a defect: its class and the frames of its traceback. Its message is left out: it may quote the client."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _logger().error(
        "unexpected error", request_id=request_id, route=route, error=type(error).__qualname__, frames=frames
    )


def log_sweep(report: Mapping[str, Any]) -> None:
    """Log the report of a scheduled sweep."""
    _logger().info("swept", **report)


def log_backend_failure(error: Exception, *, request_id: str, route: str) -> None:
    """Log the failure of an AWS service, with the code and the message of its response if there is one."""
    cause = error.__cause__
    description = _describe_cause(cause) if cause else str(error)
    _logger().warning("backend unavailable", request_id=request_id, route=route, cause=description)


def audit(event: str, *, outcome: str, request_id: str, details: Mapping[str, Any]) -> None:
    """Write an audit event.

    Args:
        event: the name of the event (`docs/operations.md`); names do not change.
        outcome: `SUCCESS`, or the code of the error.
        request_id: the id of the request or of the invocation.
        details: further fields. `actor` is the client's id and `ns` its namespace; both are absent until the client is
            authenticated.
    """
    _audit_logger().info(event, audit=True, event=event, outcome=outcome, request_id=request_id, **details)


def _describe_cause(cause: BaseException) -> str:
    """Return the code and the message of an AWS response. Of an exception without a response, return its class and the
    host: its message may quote parameters.
    """
    kind = type(cause).__qualname__
    response = getattr(cause, "response", None)
    if isinstance(response, Mapping):
        error = response.get("Error", {})
        return f"{kind}: {error.get('Code')} {error.get('Message')}"[:MAX_MESSAGE_LENGTH]
    host = urlsplit(str(getattr(cause, "kwargs", {}).get("endpoint_url", ""))).netloc
    return f"{kind} at {host}" if host else kind
