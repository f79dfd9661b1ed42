"""Programs that tests interrupt with SIGINT."""

from __future__ import annotations

import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def sigint_ends_programs() -> None:
    """Let the programs of the tests receive Ctrl-C, also if the tests run in the background.

    A shell without job control starts a job behind `&` with SIGINT ignored, and programs that it starts inherit that
    (POSIX, Shell Command Language, section 2.11).
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
