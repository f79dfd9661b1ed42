"""What the local service exposes: addresses, files, and answers without a signature (docs/security.md)."""

from __future__ import annotations

import ipaddress
import stat
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from dev.local.client import FerryClient
from dev.local.launcher import LocalService, find_processes
from tests.support.port_probes import (
    FOREIGN_HOST,
    WEBSOCKET,
    grpc_status,
    listening_sockets,
    listening_unix_sockets,
    request_status,
    sign,
)

DOCKER_NETWORK = ipaddress.ip_network("172.16.0.0/12")
"""Docker's bridge: the only other address that emulators may be relayed to, for functions in containers."""

METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS")
GRPC_METHODS = (
    "/master_pb.Seaweed/Statistics",
    "/volume_server_pb.VolumeServer/VolumeServerStatus",
    "/filer_pb.SeaweedFiler/GetFilerConfiguration",
    "/iam_pb.SeaweedIdentityAccessManagement/ListUsers",
    "/grpc.health.v1.Health/Check",
)
PATHS = (
    "/",
    "/status",
    "/healthz",
    "/metrics",
    "/ui/index.html",
    # SeaweedFS's master, volume server, filer and admin server.
    "/col/delete?collection=ferry-bucket",
    "/dir/assign",
    "/dir/status",
    "/vol/vacuum",
    "/cluster/status",
    "/stats/disk",
    "/buckets/?pretty=y",
    "/buckets/ferry-bucket/x",
    "/debug/pprof/",
    "/api/cluster/topology",
    # S3 and its key service.
    "/ferry-bucket?list-type=2",
    "/ferry-bucket/x",
    "/?Action=ListUsers&Version=2010-05-08",
    # The Lambda emulators, and ministack's own routes.
    "/2015-03-31/functions/function/invocations",
    "/2015-03-31/functions/ferry-uploadfunction/invocations",
    "/2018-06-01/runtime/invocation/next",
    "/_ministack/state",
    "/_localstack/health",
)
SERVICE_REQUESTS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("dynamodb", "dynamodb_endpoint", {"x-amz-target": "DynamoDB_20120810.ListTables"}),
    ("kms", "dynamodb_endpoint", {"x-amz-target": "TrentService.ListKeys"}),
    ("s3", "s3_endpoint", {}),
)

Address = tuple[str, int]


@pytest.fixture(scope="module")
def pids(service: LocalService, client: FerryClient) -> list[int]:
    """The processes of the service, instances of two functions included."""
    client.start("warm-up", 5)
    client.status("warm-up")
    return find_processes(service.state_folder)


@pytest.fixture(scope="module")
def addresses(service: LocalService, pids: list[int]) -> list[Address]:
    """Every TCP socket that the service listens on, except the API's, which asks for tokens."""
    api_port = int(service.connection_info["base_url"].rpartition(":")[2])
    found = listening_sockets(pids)
    assert ("127.0.0.1", api_port) in found
    return sorted(address for address in found if address[1] != api_port)


def accepted_requests(probe: Callable[..., int | None], *values: Iterable[Any]) -> dict[Any, int]:
    """Send a request for each combination of the values, and return those that were not answered with an error."""
    cases = list(product(*values))
    with ThreadPoolExecutor(16) as threads:
        statuses = threads.map(lambda case: probe(*case), cases)
        return {case: status for case, status in zip(cases, statuses, strict=True) if status and status < 400}


def test_service_listens_on_loopback_only(addresses: list[Address]) -> None:
    """No process of the service accepts connections of other machines."""
    for host, port in addresses:
        address = ipaddress.ip_address(host)
        inner = getattr(address, "ipv4_mapped", None) or address
        assert inner.is_loopback or inner in DOCKER_NETWORK, f"{host}:{port}"


def test_every_port_rejects_requests_without_signature(addresses: list[Address]) -> None:
    """Each port answers every method and path with an error, as a page would send them, and so for another host."""

    def probe(address: Address, method: str, path: str, host: str) -> int | None:
        headers = {"Host": host or f"127.0.0.1:{address[1]}", "Content-Type": "text/plain"}
        return request_status(address, method, path, headers, b'{"TableName": "ferry-authtable"}')

    assert accepted_requests(probe, addresses, METHODS, PATHS, ("", FOREIGN_HOST)) == {}


def test_every_port_rejects_websockets(addresses: list[Address]) -> None:
    """No port switches to the WebSocket protocol."""

    def probe(address: Address, path: str) -> int | None:
        return request_status(address, "GET", path, {**WEBSOCKET, "Origin": f"http://{FOREIGN_HOST}"})

    assert accepted_requests(probe, addresses, ("/", "/ws", "/filer/subscribe")) == {}


def test_every_port_rejects_grpc(addresses: list[Address]) -> None:
    """No port answers a gRPC call that has no client certificate, with or without TLS."""

    def probe(address: Address, path: str, tls: bool) -> int | None:
        return grpc_status(address, path, tls=tls)

    assert accepted_requests(probe, addresses, GRPC_METHODS, (False, True)) == {}


def test_unix_sockets_are_private(pids: list[int]) -> None:
    """Unix sockets are in a private folder; those elsewhere ask for a client certificate."""
    found = listening_unix_sockets(pids)
    private = {path for path in found if stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700}
    assert {Path(path).name for path in private} == {"s3.sock", "filer.sock"}
    for path in found - private:
        assert Path(path).name.startswith("seaweedfs-"), path
        assert [grpc_status(path, method, tls=tls) for method, tls in product(GRPC_METHODS, (False, True))] == (
            [None] * len(GRPC_METHODS) * 2
        )


@pytest.mark.parametrize(("name", "endpoint", "headers"), SERVICE_REQUESTS)
def test_signature_is_verified(service: LocalService, name: str, endpoint: str, headers: dict[str, str]) -> None:
    """A request signed with the keys of ferry.json passes; with another secret or for another host it does not."""
    port = int(service.connection_info[endpoint].rpartition(":")[2])
    keys = service.connection_info["aws_credentials"]

    def status(host: str, credentials: dict[str, str]) -> int | None:
        method = "GET" if name == "s3" else "POST"
        signed = sign(credentials, name, method, host, headers)
        return request_status(("127.0.0.1", port), method, "/", signed, b"{}")

    assert status(f"127.0.0.1:{port}", keys) == 200
    assert status(f"localhost:{port}", keys) == 200
    for host in (f"{FOREIGN_HOST}:{port}", FOREIGN_HOST, f"127.0.0.1.{FOREIGN_HOST}:{port}"):
        assert status(host, keys) == 403, host
    assert status(f"127.0.0.1:{port}", {**keys, "aws_secret_access_key": "other"}) == 403


def test_state_folder_is_private(service: LocalService) -> None:
    """Secrets and uploaded bytes are readable by their owner only."""
    assert stat.S_IMODE(service.state_folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((service.state_folder / "ferry.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((service.state_folder / "s3" / "tls-key.pem").stat().st_mode) == 0o600
