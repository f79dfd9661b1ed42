"""SAM CLI without its wait for the end of a request's log."""

from __future__ import annotations

import threading
from unittest.mock import call, patch

import pytest


def test_sam_cli_waits_shortly_for_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """SAM CLI creates the event of this project, which ends a wait of a second at once."""
    from samcli.local.docker.container import Container

    from dev.docker.sam_cli_without_log_wait import MAX_WAIT_SECONDS, LogEvent, shorten_wait

    monkeypatch.setattr(Container, "_create_threading_event", Container._create_threading_event)
    shorten_wait()
    event = Container._create_threading_event()
    assert isinstance(event, LogEvent)
    with patch.object(threading.Event, "wait", autospec=True, return_value=False) as wait:
        assert not event.wait(timeout=1)
        assert not event.wait()
    assert wait.call_args_list == [call(event, MAX_WAIT_SECONDS)] * 2
    event.set()
    assert event.wait(timeout=1)
