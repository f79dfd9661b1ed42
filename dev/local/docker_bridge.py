"""Relay ports of this machine's loopback interface to Docker containers, which cannot reach 127.0.0.1 of their host.

Containers reach the host through the gateway address of Docker's bridge network. The relay listens on that address
alone, on the same port numbers, and copies bytes to and from 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterable

from dev.local.tcp_ports import HOST

CONTAINER_HOST = "host.docker.internal"
"""The name under which a container reaches its host. Docker Desktop defines it; elsewhere `--add-host` does."""
_DOCKER_TIMEOUT_SECONDS = 5.0
_READ_SIZE_BYTES = 256 * 1024


class BridgeRelay:
    """Listeners on the bridge's gateway address, one for each relayed port."""

    def __init__(self, address: str, ports: Iterable[int]) -> None:
        self.address = address
        self._ports = sorted(set(ports))
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on every port. Raises `OSError` when the address is not this machine's or a port is taken."""
        for port in self._ports:
            self._servers.append(await asyncio.start_server(self._relay_to(port), self.address, port))

    async def close(self) -> None:
        """Stop listening and cut every open connection."""
        for server in self._servers:
            server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _relay_to(self, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                await _relay_connection(reader, writer, port)
            except asyncio.CancelledError:
                writer.close()
            finally:
                self._connections.discard(task)

        return relay


async def start_relay(ports: Iterable[int]) -> BridgeRelay | None:
    """Start a relay on Docker's bridge, or return None where containers need none.

    That is where Docker is not running, and where it runs in a virtual machine (Docker Desktop): the bridge's address
    is not this machine's there, and host.docker.internal leads to loopback.

    Raises:
        OSError: a port of the bridge's address is taken.
    """
    address = await bridge_address()
    if address is None:
        return None
    relay = BridgeRelay(address, ports)
    try:
        await relay.start()
    except OSError as error:
        await relay.close()
        if error.errno == errno.EADDRNOTAVAIL:
            return None
        raise
    return relay


async def bridge_address() -> str | None:
    """Return the gateway address of Docker's default network, or None when Docker does not run."""
    docker = shutil.which("docker")
    if docker is None:
        return None
    process = await asyncio.create_subprocess_exec(
        *(docker, "network", "inspect", "bridge", "--format", "{{json .IPAM.Config}}"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _DOCKER_TIMEOUT_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    return parse_gateway(output) if process.returncode == 0 else None


def parse_gateway(ipam_config: bytes) -> str | None:
    """Return the IPv4 gateway of a network's `IPAM.Config`, or None when it has no IPv4 network.

    Until Docker's daemon is started a second time, its default network names no gateway: that is the subnet's first
    address then.
    """
    for config in json.loads(ipam_config) or ():
        if config.get("Gateway") and ipaddress.ip_address(config["Gateway"]).version == 4:
            return str(config["Gateway"])
        if config.get("Subnet") and (subnet := ipaddress.ip_network(config["Subnet"])).version == 4:
            return str(subnet[1])
    return None


async def _relay_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    try:
        target_reader, target_writer = await asyncio.open_connection(HOST, port)
    except OSError:
        writer.close()
        return
    try:
        await asyncio.gather(_copy_stream(reader, target_writer), _copy_stream(target_reader, writer))
    finally:
        target_writer.close()


async def _copy_stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the reader ends, then end the writer."""
    try:
        while data := await reader.read(_READ_SIZE_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            writer.close()
