"""The relay that lets Docker containers reach S3 and DynamoDB of the local service."""

from __future__ import annotations

import asyncio

import pytest

from dev.local.docker_bridge import BridgeRelay, parse_gateway


@pytest.mark.parametrize(
    ("ipam_config", "gateway"),
    [
        (b'[{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.9"}]', "172.17.0.9"),
        (b'[{"Subnet": "172.18.0.0/16"}]', "172.18.0.1"),
        (b'[{"Subnet": "fd00::/64", "Gateway": "fd00::1"}, {"Subnet": "10.1.0.0/24"}]', "10.1.0.1"),
        (b"[]", None),
        (b"null", None),
    ],
)
def test_gateway_is_ipv4_address_of_bridge(ipam_config: bytes, gateway: str | None) -> None:
    """The named IPv4 gateway counts; without one it is the first address of the IPv4 subnet."""
    assert parse_gateway(ipam_config) == gateway


def test_relay_copies_both_ways_and_close_cuts_connections() -> None:
    """Bytes pass in both directions. After close() an open connection ends and no new one is accepted."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def scenario() -> None:
        target = await asyncio.start_server(echo, "127.0.0.1", 0)
        port = target.sockets[0].getsockname()[1]
        relay = BridgeRelay("127.0.0.2", [port])
        await relay.start()
        reader, writer = await asyncio.open_connection("127.0.0.2", port)
        writer.write(b"x" * 300_000)
        assert await reader.readexactly(300_000) == b"x" * 300_000
        await relay.close()
        assert await reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port)
        writer.close()
        target.close()

    asyncio.run(scenario())
