"""What operators are told: kinds of errors and places in the code. Never bodies, headers or tokens."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger


@cache
def _logger() -> Logger:
    # Loaded when there is something to say, which a cold start has not.
    from aws_lambda_powertools import Logger

    return Logger()


def unexpected(error: Exception, *, request_id: str, route: str) -> None:
    """A defect. Its message may quote what a client sent, so the kind and the frames are all that is kept."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    _logger().error(
        "unexpected error", request_id=request_id, route=route, error=type(error).__qualname__, frames=frames
    )


def swept(report: Mapping[str, Any]) -> None:
    """What a run of the schedule has done."""
    _logger().info("swept", **report)


def backend(error: Exception, *, request_id: str, route: str) -> None:
    """A service behind Ferry failed. The cause is that service's own message."""
    cause = error.__cause__
    _logger().warning(
        "backend unavailable",
        request_id=request_id,
        route=route,
        cause=f"{type(cause).__qualname__}: {cause}" if cause else str(error),
    )
