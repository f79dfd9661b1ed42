"""The command line of the local service."""

from __future__ import annotations

import signal

import pytest

from dev.local import __main__ as entry_point
from dev.local import cli


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--port", "abc", "'abc' is not a port: give a number from 1 to 65535"),
        ("--port", "65536", "'65536' is not a port: give a number from 1 to 65535"),
        ("--instances", "x", "'x' is not a number of instances: give 1 or more"),
        ("--instances", "0", "'0' is not a number of instances: give 1 or more"),
    ],
)
def test_bad_number_is_rejected_with_what_to_give(
    capsys: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    """The error names the value and the accepted ones, also for text that is no number."""
    with pytest.raises(SystemExit) as stop:
        cli.main([option, value])
    assert stop.value.code == 2
    assert capsys.readouterr().err.endswith(f"argument {option}: {message}\n")


def test_sigint_during_imports_ends_the_process_without_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the modules are loaded, SIGINT has its default action. Python's handler is set again afterwards."""
    handlers = set()
    monkeypatch.setattr(entry_point, "find_spec", lambda _: handlers.add(signal.getsignal(signal.SIGINT)))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert entry_point.main() == 1
        assert handlers == {signal.SIG_DFL}
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
