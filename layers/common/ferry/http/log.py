"""What operators are told: kinds of errors and places in the code, and who did what (audit events).

Never bodies, headers, tokens, secrets or signatures; names of files only where the operator has switched them on.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

MAX_MESSAGE_LENGTH = 500
SUCCESS = "success"


@cache
def _logger() -> Logger:
    # Loaded when there is something to say, which a cold start has not.
    from aws_lambda_powertools import Logger

    return Logger(utc=True, use_rfc3339=True, location=None)


@cache
def _audit_logger() -> Logger:
    # A logger of its own: whatever LogLevel is, these are written.
    from aws_lambda_powertools import Logger

    return Logger(service="ferry-audit", level="INFO", utc=True, use_rfc3339=True, location=None)


def log_unexpected(error: Exception, *, request_id: str, route: str) -> None:
    """A defect. Its message may quote what a client sent, so the kind and the frames are all that is kept."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _logger().error(
        "unexpected error", request_id=request_id, route=route, error=type(error).__qualname__, frames=frames
    )


def log_sweep(report: Mapping[str, Any]) -> None:
    """What a run of the schedule has done."""
    _logger().info("swept", **report)


def log_backend_failure(error: Exception, *, request_id: str, route: str) -> None:
    """A service behind Ferry failed: in that service's own words, if it said any."""
    cause = error.__cause__
    told = _describe_cause(cause) if cause else str(error)
    _logger().warning("backend unavailable", request_id=request_id, route=route, cause=told)


def audit(event: str, *, outcome: str, request_id: str, details: Mapping[str, Any]) -> None:
    """Who did what. `event` is one of the stable names, `outcome` is `success` or the code of a refusal.

    `details` have the `actor` (a client's id) and its `ns`, where they are known to be a client's own.
    """
    _audit_logger().info(event, audit=True, event=event, outcome=outcome, request_id=request_id, **details)


def _describe_cause(cause: BaseException) -> str:
    """AWS's answer has a code and a message. An exception without one may quote parameters, so its kind and the host
    are all that is kept.
    """
    kind = type(cause).__qualname__
    answer = getattr(cause, "response", None)
    if isinstance(answer, Mapping):
        error = answer.get("Error", {})
        return f"{kind}: {error.get('Code')} {error.get('Message')}"[:MAX_MESSAGE_LENGTH]
    host = urlsplit(str(getattr(cause, "kwargs", {}).get("endpoint_url", ""))).netloc
    return f"{kind} at {host}" if host else kind
