"""The level of the functions' log, under Lambda's own log level."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ferry.http import log


@pytest.fixture(autouse=True)
def _fresh_loggers(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    # Loggers of the standard library live as long as the process: a name for each test gives a new one.
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    log._logger.cache_clear()
    yield
    log._logger.cache_clear()


@pytest.mark.parametrize(
    ("log_level", "lambda_level", "expected"),
    [
        ("DEBUG", "DEBUG", ["INFO", "WARNING", "ERROR"]),
        ("INFO", "INFO", ["INFO", "WARNING", "ERROR"]),
        ("WARNING", "INFO", ["WARNING", "ERROR"]),
        ("ERROR", "INFO", ["ERROR"]),
        ("ERROR", None, ["ERROR"]),
    ],
)
def test_log_level_filters_below_lambda_level(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    log_level: str,
    lambda_level: str | None,
    expected: list[str],
) -> None:
    """Lines below LogLevel are dropped, although Powertools takes the level of Lambda's log controls instead."""
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", log_level)
    monkeypatch.delenv("AWS_LAMBDA_LOG_LEVEL", raising=False)
    if lambda_level:
        monkeypatch.setenv("AWS_LAMBDA_LOG_LEVEL", lambda_level)
    log.log_sweep({"expired": 1})
    log.log_backend_failure(OSError("down"), request_id="1", route="GET /health")
    log.log_unexpected(ValueError("defect"), request_id="1", route="GET /health")
    assert [json.loads(line)["level"] for line in capsys.readouterr().out.splitlines()] == expected
