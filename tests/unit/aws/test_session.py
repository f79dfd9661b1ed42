"""Timeouts of the AWS clients."""

from __future__ import annotations

import pytest

from ferry.aws import session

GATEWAY_TIMEOUT_SECONDS = 30


@pytest.mark.parametrize(
    ("attempts", "read_timeout"),
    [(session.MAX_ATTEMPTS, session.READ_TIMEOUT_SECONDS), (session.S3_MAX_ATTEMPTS, session.S3_READ_TIMEOUT_SECONDS)],
)
def test_timeouts_leave_time_for_response(attempts: int, read_timeout: int) -> None:
    """All attempts of a call end within two thirds of the gateway's timeout, so that Ferry can still respond 503."""
    assert attempts * (session.CONNECT_TIMEOUT_SECONDS + read_timeout) <= GATEWAY_TIMEOUT_SECONDS * 2 / 3
