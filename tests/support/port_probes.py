"""What a web page or a local process can send to a port: requests without a signature, or with one for another host."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import h2.config
import h2.connection
import h2.events
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

TIMEOUT_SECONDS = 3
FOREIGN_HOST = "page.example"
LISTENING = "0A"
"""The state of a listening socket in /proc/net/tcp."""

WEBSOCKET = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def listening_sockets(pids: Iterable[int]) -> set[tuple[str, int]]:
    """Return address and port of every TCP socket that one of the processes listens on."""
    inodes = _socket_inodes(pids)
    return {(host, port) for inode, host, port in _all_listening_sockets() if inode in inodes}


def listening_unix_sockets(pids: Iterable[int]) -> set[str]:
    """Return the paths of the Unix sockets that the processes listen on, as they were bound."""
    inodes, found = _socket_inodes(pids), set[str]()
    for line in Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        # Flag 0x10000: it listens (__SO_ACCEPTCON).
        if fields[6] in inodes and int(fields[3], 16) & 0x10000:
            found.add(fields[7])
    return found


def _socket_inodes(pids: Iterable[int]) -> set[str]:
    inodes = set[str]()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                inodes.add(descriptor.readlink().name.removeprefix("socket:[").removesuffix("]"))
    return inodes


def _all_listening_sockets() -> Iterator[tuple[str, str, int]]:
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        path = Path("/proc/net") / table
        for line in path.read_text(encoding="ascii").splitlines()[1:] if path.exists() else []:
            fields = line.split()
            if fields[3] == LISTENING:
                host, port = fields[1].split(":")
                # The kernel prints each 32-bit word of an address in the machine's byte order.
                words = [int(host[at : at + 8], 16) for at in range(0, len(host), 8)]
                packed = struct.pack(f"={len(words)}I", *words)
                yield fields[9], socket.inet_ntop(family, packed), int(port, 16)


def request_status(
    address: tuple[str, int], method: str, path: str, headers: Mapping[str, str], body: bytes = b""
) -> int | None:
    """Return the status of a response; None where the port does not speak HTTP/1.1."""
    connection = http.client.HTTPConnection(*address, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(method, path, body, dict(headers))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def grpc_status(address: tuple[str, int] | str, path: str, *, tls: bool) -> int | None:
    """Return the HTTP status of a gRPC call without a client certificate; None where there is no response.

    Args:
        address: a TCP address, or the path of a Unix socket.
        path: the service and its method, such as `/filer_pb.SeaweedFiler/Statistics`.
        tls: connect with TLS, without a certificate and without a check of the server's.
    """
    with contextlib.suppress(OSError), _connect(address, tls=tls) as connection:
        http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        http2.initiate_connection()
        headers = [
            (":method", "POST"),
            (":scheme", "https" if tls else "http"),
            (":authority", "127.0.0.1"),
            (":path", path),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ]
        http2.send_headers(1, headers)
        # A message without fields.
        http2.send_data(1, bytes(5), end_stream=True)
        connection.sendall(http2.data_to_send())
        while data := connection.recv(65_536):
            for event in http2.receive_data(data):
                if isinstance(event, h2.events.ResponseReceived):
                    return int(dict(event.headers)[b":status"])
                if isinstance(event, h2.events.ConnectionTerminated | h2.events.StreamReset):
                    return None
            connection.sendall(http2.data_to_send())
    return None


def _connect(address: tuple[str, int] | str, *, tls: bool) -> socket.socket:
    if isinstance(address, str):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(address)
    else:
        connection = socket.create_connection(address, timeout=TIMEOUT_SECONDS)
    if not tls:
        return connection
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context.wrap_socket(connection)


def sign(
    credentials: Mapping[str, str], service: str, method: str, host: str, headers: Mapping[str, str]
) -> dict[str, str]:
    """Return the headers of a request to `/` with the signature of these keys (`aws_credentials` of ferry.json)."""
    request = AWSRequest(method, f"http://{host}/", data=b"{}", headers={**headers, "Host": host})
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    keys = Credentials(credentials["aws_access_key_id"], credentials["aws_secret_access_key"])
    signer(keys, service, credentials["region_name"]).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}
