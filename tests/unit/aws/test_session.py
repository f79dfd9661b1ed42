"""How long a call may take."""

from __future__ import annotations

import pytest

from ferry.aws import session

GATEWAY = 30


@pytest.mark.parametrize(
    ("attempts", "read_timeout"),
    [(session.ATTEMPTS, session.READ_TIMEOUT), (session.S3_ATTEMPTS, session.S3_READ_TIMEOUT)],
)
def test_a_backend_that_stalls_leaves_time_for_an_answer(attempts: int, read_timeout: int) -> None:
    """All attempts together end within two thirds of what the gateway waits, so that the client gets a 503 of ours."""
    assert attempts * (session.CONNECT_TIMEOUT + read_timeout) <= GATEWAY * 2 / 3
