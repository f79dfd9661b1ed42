"""Lets containers reach a port of this machine's loopback, which nobody else may reach.

Docker's containers see the machine under the address of their bridge only. So the same port of that address is handed
on, byte by byte; the address belongs to this machine and is not routed to the outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager

from dev.docker.dockerd import run_docker

LOOPBACK = "127.0.0.1"
_READ_SIZE_BYTES = 256 * 1024


def bridge_address() -> str | None:
    """The machine's address on Docker's default network, or None when Docker does not tell."""
    answer = run_docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
    return answer.stdout.strip() or None if answer.returncode == 0 else None


@contextmanager
def forward_ports(ports: Iterable[int]) -> Iterator[None]:
    """Hand on `ports` of the bridge to the same ports of loopback, in a thread of its own.

    Where Docker runs in a virtual machine (as on a Mac) the bridge's address is not this machine's, and its
    `host.docker.internal` reaches loopback without help: then there is nothing to do.
    """
    address = bridge_address()
    if address is None:
        yield
        return
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="forwarding", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(_listen(address, sorted(set(ports))), loop).result()
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_tasks(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(address: str, ports: Iterable[int]) -> None:
    for port in ports:
        try:
            await asyncio.start_server(_relay_to(port), address, port)
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise


def _relay_to(port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there_writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy_stream(reader, there_writer), _copy_stream(there_reader, writer))

    return relay


async def _copy_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until one side has no more; then the other is told so."""
    try:
        while piece := await reader.read(_READ_SIZE_BYTES):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            writer.close()


async def _cancel_tasks() -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
