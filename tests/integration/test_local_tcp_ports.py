"""The choice of a port on the loopback interface."""

from __future__ import annotations

import contextlib

from dev.local.tcp_ports import listen_near


def test_taken_port_is_left_for_the_next_but_the_avoided_one() -> None:
    """On a taken port the next free one is chosen, except a port that another program needs."""
    with contextlib.ExitStack() as opened:
        first = opened.enter_context(listen_near(23_450))
        port = first.getsockname()[1]
        second = opened.enter_context(listen_near(port, avoid=port + 1))
        assert second.getsockname()[1] not in (port, port + 1)
        named = opened.enter_context(listen_near(second.getsockname()[1] + 1, avoid=second.getsockname()[1] + 1))
        assert named.getsockname()[1] > second.getsockname()[1]
