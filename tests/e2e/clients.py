"""What tests do with the API again and again."""

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

from local.api import Answer, Api, must

MIB = 1024 * 1024
CHUNK = 4 * MIB


class Service(Protocol):
    """A running service: what it says of itself (ferry.json), in the folder that has that file."""

    @property
    def state(self) -> Path: ...

    @property
    def described(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Attached:
    """A service that somebody else has started, and will stop."""

    state: Path

    @property
    def described(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "ferry.json").read_text(encoding="utf-8"))
        return found


def as_client(service: Service, client_id: str) -> Api:
    described = service.described
    client = next(entry for entry in described["clients"] if entry["client_id"] == client_id)
    return Api(described["base_url"]).log_in(client_id, client["client_secret"])


def some_bytes(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def chunk_of(content: bytes, index: int, chunk_size: int = CHUNK) -> bytes:
    return content[(index - 1) * chunk_size : index * chunk_size]


def send(api: Api, name: str, content: bytes, indexes: Iterable[int], chunk_size: int = CHUNK) -> list[dict[str, Any]]:
    """Send chunks, four at a time, and return their answers."""

    def one(index: int) -> dict[str, Any]:
        answer: dict[str, Any] = must(
            api.send_chunk(name, index, chunk_of(content, index, chunk_size)), 200, f"chunk {index}"
        ).json
        return answer

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, indexes))


def upload(api: Api, name: str, content: bytes, **start: Any) -> dict[str, Any]:
    """The finished file's description."""
    plan = must(api.start(name, len(content), **start), 201, "start").json
    send(api, name, content, range(1, plan["chunk_count"] + 1), plan["chunk_size"])
    file: dict[str, Any] = must(api.complete(name), 200, "complete").json
    return file


def eventually(holds: Callable[[], bool], seconds: float = 15.0) -> None:
    """Look until it holds. For what happens by the clock or by the schedule, which nobody announces."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def object_store(service: Service) -> tuple[Any, str]:
    """A client of the service's S3, and the bucket."""
    keys = json.loads((service.state / "backends.json").read_text(encoding="utf-8"))
    s3 = boto3.client(
        "s3",
        endpoint_url=service.described["s3_endpoint"],
        region_name="us-east-1",
        aws_access_key_id=keys["access_key"],
        aws_secret_access_key=keys["secret_key"],
    )
    (bucket,) = [entry["Name"] for entry in s3.list_buckets()["Buckets"]]
    return s3, bucket


def problem(answer: Answer) -> tuple[int, str | None]:
    """The status and the code of an answer that is a problem in RFC 9457's form, as the contract wants it."""
    content = answer.json
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code", "request_id"} <= content.keys()
    assert content["status"] == answer.status
    assert content["request_id"] == answer.headers["x-request-id"]
    return answer.status, answer.code
