"""The choice of a port on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib

from dev.local.tcp_ports import listen, listen_near, listen_on_any, wait_for_response


def test_taken_port_is_left_for_the_next_but_the_avoided_one() -> None:
    """On a taken port the next free one is chosen, except a port that another program needs."""
    with contextlib.ExitStack() as opened:
        first = opened.enter_context(listen_near(23_450))
        port = first.getsockname()[1]
        second = opened.enter_context(listen_near(port, avoid=port + 1))
        assert second.getsockname()[1] not in (port, port + 1)
        named = opened.enter_context(listen_near(second.getsockname()[1] + 1, avoid=second.getsockname()[1] + 1))
        assert named.getsockname()[1] > second.getsockname()[1]


def test_first_free_preferred_port_is_taken() -> None:
    """A port that another program has is left for the next preferred one, and all of them for any port."""
    with listen(0) as taken, listen_on_any([]) as free:
        ports = [taken.getsockname()[1], free.getsockname()[1]]
        with listen_on_any(ports) as other:
            assert other.getsockname()[1] not in ports
        free.close()
        with listen_on_any(ports) as preferred:
            assert preferred.getsockname()[1] == ports[1]


def test_response_is_waited_for_until_the_process_has_ended() -> None:
    """A socket that listens but has no process that answers is not taken for a server."""
    with listen(0) as listener:
        is_alive = iter((True, False))
        assert not asyncio.run(wait_for_response(listener.getsockname()[1], 60, lambda: next(is_alive)))


def test_response_of_any_status_is_one() -> None:
    """A server that rejects the request has started."""

    async def run() -> bool:
        async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(reject, "127.0.0.1", 0) as server:
            return await wait_for_response(server.sockets[0].getsockname()[1], 60, lambda: True)

    assert asyncio.run(run())
