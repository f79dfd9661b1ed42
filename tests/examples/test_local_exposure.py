"""What the local service exposes: addresses, files, and answers without a signature (docs/security.md)."""

from __future__ import annotations

import http.client
import ipaddress
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from dev.local.client import FerryClient
from dev.local.launcher import LocalService, find_processes

LISTENING = "0A"
"""The state of a listening socket in /proc/net/tcp."""

DOCKER_NETWORK = ipaddress.ip_network("172.16.0.0/12")
"""Docker's bridge: the only other address that emulators may be relayed to, for functions in containers."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def listening_sockets(service: LocalService) -> set[tuple[Address, int]]:
    """Return address and port of every socket that a process of the service listens on."""
    return listening_sockets_of(find_processes(service.state_folder))


def listening_sockets_of(pids: Iterable[int]) -> set[tuple[Address, int]]:
    """Return address and port of every socket that one of the processes listens on."""
    inodes = set[str]()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                inodes.add(descriptor.readlink().name.removeprefix("socket:[").removesuffix("]"))
    return {(address, port) for inode, address, port in _all_listening_sockets() if inode in inodes}


def _all_listening_sockets() -> Iterator[tuple[str, Address, int]]:
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        for line in path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[3] == LISTENING:
                host, port = fields[1].split(":")
                # The kernel prints each 32-bit word of an address in the machine's byte order.
                numbers = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
                words = struct.pack(f"={len(numbers)}I", *numbers)
                yield fields[9], ipaddress.ip_address(words), int(port, 16)


def request_without_signature(port: int, method: str, path: str) -> int | None:
    """Return the status of a request to a port; None where it does not speak HTTP/1.1."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, b"content" if method == "PUT" else None)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def test_service_listens_on_loopback_only(service: LocalService) -> None:
    """No process of the service accepts connections of other machines."""
    found = listening_sockets(service)
    assert len(found) > 2
    for address, port in found:
        inner = getattr(address, "ipv4_mapped", None) or address
        assert inner.is_loopback or inner in DOCKER_NETWORK, f"{address}:{port}"


def test_emulator_endpoints_reject_unsigned_requests(service: LocalService) -> None:
    """The S3 and DynamoDB endpoints of ferry.json answer no request without a signature."""
    for endpoint in ("s3_endpoint", "dynamodb_endpoint"):
        port = int(service.connection_info[endpoint].rpartition(":")[2])
        assert request_without_signature(port, "GET", "/") in (400, 403), endpoint


def test_no_port_gives_or_takes_bytes_without_signature(service: LocalService, client: FerryClient, name: str) -> None:
    """The internal ports of the S3 emulator neither return an object nor store one."""
    client.start(name, 5)
    client.send_chunk(name, 1, b"hello")
    folder = "/buckets/ferry-bucket/o"
    requests = [
        ("GET", f"{folder}/{client.complete(name).json['upload_id']}"),
        ("GET", f"{folder}/"),
        ("PUT", f"{folder}/x"),
    ]
    ports = {port for _, port in listening_sockets(service)}
    answers = {(port, *request): request_without_signature(port, *request) for port in ports for request in requests}
    assert {request: status for request, status in answers.items() if status is not None and status < 400} == {}


def test_state_folder_is_private(service: LocalService) -> None:
    """Secrets and uploaded bytes are readable by their owner only."""
    assert stat.S_IMODE(service.state_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((service.state_folder / "ferry.json").stat().st_mode) == 0o600
