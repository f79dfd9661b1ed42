"""Find and open TCP ports on the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Callable, Iterable

HOST = "127.0.0.1"
# SeaweedFS serves gRPC on each port plus this. Both must be below the ports that the system gives to clients.
GRPC_PORT_OFFSET = 10_000
_PAIR_RANGE = range(12_000, 22_000)
_RESPONSE_TIMEOUT_SECONDS, _PAUSE_SECONDS = 1.0, 0.01


def try_listen(port: int) -> socket.socket | None:
    """Return a listening socket on a port (0: any free one), or None when the port is taken."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(512)
    except OSError:
        listener.close()
        return None
    return listener


def listen(port: int) -> socket.socket:
    """Return a listening socket on a port. Raises `OSError` when the port is taken."""
    listener = try_listen(port)
    if listener is None:
        raise OSError(f"port {port} of {HOST} is taken")
    return listener


def is_free(port: int) -> bool:
    """Return whether nothing listens on a port."""
    listener = try_listen(port)
    if listener is None:
        return False
    listener.close()
    return True


def listen_near(port: int, max_attempts: int = 50, *, avoid: int | None = None) -> socket.socket:
    """Return a listening socket on a port, else on one of the next ports but `avoid`, else on any free one."""
    for candidate in range(port, min(port + max_attempts, 65_536)):
        if candidate == avoid and candidate != port:
            continue
        listener = try_listen(candidate)
        if listener is not None:
            return listener
    listener = try_listen(0)
    if listener is None:
        raise OSError("no TCP port of 127.0.0.1 is free")
    return listener


def free_ports(count: int) -> list[int]:
    """Return different ports that are free now."""
    listeners = [found for found in (try_listen(0) for _ in range(count)) if found is not None]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    if len(ports) < count:
        raise OSError("no TCP port of 127.0.0.1 is free")
    return ports


def free_port_pairs(count: int, preferred: Iterable[int]) -> list[int]:
    """Return ports that are free together with the port 10,000 above: the preferred ones first, then random ones.

    They are random because another run that starts at the same moment looks for ports too.
    """
    found: list[int] = []
    for port in (*preferred, *random.sample(_PAIR_RANGE, len(_PAIR_RANGE))):
        if len(found) == count:
            break
        if port in _PAIR_RANGE and port not in found and is_free(port) and is_free(port + GRPC_PORT_OFFSET):
            found.append(port)
    if len(found) < count:
        raise OSError("no TCP port of 127.0.0.1 is free")
    return found


def listen_on_any(preferred: Iterable[int]) -> socket.socket:
    """Return a listening socket on the first preferred port that is free, else on any free one. Raises `OSError`."""
    for port in (*preferred, 0):
        if (listener := try_listen(port)) is not None:
            return listener
    raise OSError("no TCP port of 127.0.0.1 is free")


async def wait_for_listener(port: int, timeout_seconds: float, is_alive: Callable[[], bool]) -> bool:
    """Wait until a process listens on a port. Return False when it has ended or the time is up."""
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout_seconds
    while is_alive() and loop.time() < end:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        return True
    return False


async def wait_for_response(port: int, timeout_seconds: float, is_alive: Callable[[], bool]) -> bool:
    """Wait until a process sends an HTTP response, whatever its status. Return False when it has ended or is late.

    For a process that got its listening socket from this one: connections succeed before the process accepts them.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_seconds):
            while is_alive():
                with contextlib.suppress(OSError, TimeoutError):
                    # A process that ends before it accepts the connection leaves it without a response.
                    if await asyncio.wait_for(_has_response(port), _RESPONSE_TIMEOUT_SECONDS):
                        return True
                await asyncio.sleep(_PAUSE_SECONDS)
    return False


async def _has_response(port: int) -> bool:
    """Send one request, and return whether something comes back."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
        return bool(await reader.read(1))
    finally:
        writer.close()
