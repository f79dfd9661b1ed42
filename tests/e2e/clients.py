"""Steps that many end-to-end tests share."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3

from dev.local.client import ApiResponse, FerryClient, expect

MIB = 1024 * 1024
CHUNK_BYTES = 4 * MIB
MAX_PAUSE_SECONDS = 0.3
"""Longest time between two looks at a condition."""


class ServiceUnderTest(Protocol):
    """A running service, described by `ferry.json` in its state folder."""

    @property
    def state_folder(self) -> Path: ...

    @property
    def connection_info(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class AttachedService:
    """A service that was started elsewhere, and is not stopped here."""

    state_folder: Path

    @property
    def connection_info(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state_folder / "ferry.json").read_text(encoding="utf-8"))
        return found


def log_in_as(service: ServiceUnderTest, client_id: str) -> FerryClient:
    """Return an API client with a token of a client of the service."""
    connection_info = service.connection_info
    client = next(entry for entry in connection_info["clients"] if entry["client_id"] == client_id)
    return FerryClient(connection_info["base_url"]).authenticate(client_id, client["client_secret"])


def random_bytes(size: int, seed: int = 1) -> bytes:
    """Return the same bytes for the same size and seed."""
    return random.Random(seed).randbytes(size)


def chunk_body(content: bytes, index: int, chunk_size: int = CHUNK_BYTES) -> bytes:
    """Return a chunk of a file; the first one has index 1."""
    return content[(index - 1) * chunk_size : index * chunk_size]


def send_chunks(
    api: FerryClient, name: str, content: bytes, indexes: Iterable[int], chunk_size: int = CHUNK_BYTES
) -> list[dict[str, Any]]:
    """Send chunks, two at a time, and return the parsed responses. Each chunk at once needs an instance of its own."""

    def send(index: int) -> dict[str, Any]:
        response: dict[str, Any] = expect(
            api.send_chunk(name, index, chunk_body(content, index, chunk_size)), 200, f"chunk {index}"
        ).json
        return response

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(send, indexes))


def upload_file(api: FerryClient, name: str, content: bytes, **start: Any) -> dict[str, Any]:
    """Upload a file through the API, and return the response of its completion."""
    plan = expect(api.start(name, len(content), **start), 201, "start").json
    send_chunks(api, name, content, range(1, plan["chunk_count"] + 1), plan["chunk_size"])
    file: dict[str, Any] = expect(api.complete(name), 200, "complete").json
    return file


def wait_until(condition: Callable[[], bool], timeout_seconds: float = 60.0) -> None:
    """Wait until a condition holds that depends on the clock or on a schedule."""
    end, pause_seconds = time.monotonic() + timeout_seconds, 0.05
    while not condition():
        assert time.monotonic() < end, f"the condition does not hold after {timeout_seconds} seconds"
        time.sleep(pause_seconds)
        # Most conditions are requests, and seconds of them would keep a processor busy.
        pause_seconds = min(1.5 * pause_seconds, MAX_PAUSE_SECONDS)


def s3_client_and_bucket(service: ServiceUnderTest) -> tuple[Any, str]:
    """Return a client of the service's S3, and the name of its bucket."""
    backends = json.loads((service.state_folder / "backends.json").read_text(encoding="utf-8"))
    s3 = boto3.client(
        "s3",
        endpoint_url=service.connection_info["s3_endpoint"],
        region_name="us-east-1",
        aws_access_key_id=backends["access_key"],
        aws_secret_access_key=backends["secret_key"],
    )
    (bucket,) = [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    return s3, bucket


def problem_code(response: ApiResponse) -> tuple[int, str | None]:
    """Return status and code of a response that is a complete problem document (RFC 9457)."""
    content = response.json
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "request_id"} <= content.keys()
    assert content["status"] == response.status
    assert content["request_id"] == response.headers["x-request-id"]
    return response.status, response.code
