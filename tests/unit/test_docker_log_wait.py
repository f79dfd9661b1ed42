"""SAM CLI without its wait for the end of a request's log."""

from __future__ import annotations

import time

import pytest


def test_sam_cli_waits_shortly_for_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """SAM CLI creates the event of this project, which ends a wait of a second at once."""
    from samcli.local.docker.container import Container

    from dev.docker.sam_cli_without_log_wait import LogEvent, shorten_wait

    monkeypatch.setattr(Container, "_create_threading_event", Container._create_threading_event)
    shorten_wait()
    event = Container._create_threading_event()
    assert isinstance(event, LogEvent)
    started_at = time.monotonic()
    assert not event.wait(timeout=1)
    assert time.monotonic() - started_at < 0.5
    event.set()
    assert event.wait(timeout=1)
