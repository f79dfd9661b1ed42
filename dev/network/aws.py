"""A model of AWS's delays before S3 and DynamoDB: `aws`, or with other numbers `aws,s3_ms=40,dynamodb_ms=6`.

`make run NETWORK=aws` starts this file as a program. It counts what passes, by operation, for benchmarks.
"""

from __future__ import annotations

import argparse
import json
import re
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from dev.network.model import AWS_DYNAMODB, AWS_S3, Network
from dev.network.proxy import NetworkProxy

SERVICES = ("s3", "dynamodb")
"""The services that have a line of their own. KMS is on the line of DynamoDB, as it is on its server."""

_NAME = "aws"
_BYTES_PER_MB = 1_000_000
_WRITE_SECONDS = 0.1
_REQUEST_LINE = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n")
_TARGET = re.compile(rb"\r\nx-amz-target: *\w+\.(\w+)\r\n", re.IGNORECASE)
_COPY = re.compile(rb"\r\nx-amz-copy-source:", re.IGNORECASE)
_MAX_HEAD_BYTES = 16 * 1024


class InvalidNetworkError(ValueError):
    """The text names no model, or has a number that is out of range."""


@dataclass(frozen=True, slots=True)
class AwsDelays:
    """The numbers of the model. `parse` sets them."""

    s3_ms: float = AWS_S3.round_trip_ms
    """Round trip to S3, in milliseconds."""
    s3_mb_per_second: float = (AWS_S3.connection_bytes_per_second or 0) / _BYTES_PER_MB
    """Rate of each direction of each connection to S3, in MB/s."""
    dynamodb_ms: float = AWS_DYNAMODB.round_trip_ms
    """Round trip to DynamoDB and KMS, in milliseconds."""

    def network(self, service: str) -> Network:
        """Return the line before one of `SERVICES`."""
        if service == "s3":
            return Network(self.s3_ms, connection_bytes_per_second=self.s3_mb_per_second * _BYTES_PER_MB)
        return Network(self.dynamodb_ms)

    def describe(self) -> str:
        """Return the numbers in a sentence."""
        return (
            f"Network model {_NAME}: {self.s3_ms:g} ms and {self.s3_mb_per_second:g} MB/s a connection before S3, "
            f"{self.dynamodb_ms:g} ms before DynamoDB."
        )

    def to_text(self) -> str:
        """Return the text that `parse` reads."""
        return ",".join([_NAME, *(f"{field.name}={getattr(self, field.name):g}" for field in fields(self))])


def parse(text: str) -> AwsDelays:
    """Return the numbers that a text gives: `aws`, then `name=number` of any field. Raises `InvalidNetworkError`."""
    name, *pairs = text.split(",")
    known = [field.name for field in fields(AwsDelays)]
    if name != _NAME:
        raise InvalidNetworkError(f"there is no network model {name!r}: give {_NAME}, as in {AwsDelays().to_text()}")
    numbers: dict[str, float] = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        if key not in known:
            raise InvalidNetworkError(f"the network model has no number {key!r}: it has {', '.join(known)}")
        try:
            numbers[key] = float(value)
        except ValueError:
            raise InvalidNetworkError(f"{pair} has no number: give one, as in {key}=25") from None
        if not 0 <= numbers[key] <= 60_000 or (key == "s3_mb_per_second" and numbers[key] < 0.001):
            raise InvalidNetworkError(f"{pair} is out of range: give milliseconds up to 60000, and more than 0 MB/s")
    return AwsDelays(**numbers)


def operation_of(head: bytes) -> str | None:
    """Return the operation of an AWS request that begins here; None if no request begins here."""
    request = _REQUEST_LINE.match(head)
    if request is None:
        return None
    if target := _TARGET.search(head, 0, _MAX_HEAD_BYTES):
        return target[1].decode()
    path, _, query = request[2].decode("latin-1").partition("?")
    method, names = request[1].decode(), parse_qs(query, keep_blank_values=True)
    is_copy = _COPY.search(head, 0, _MAX_HEAD_BYTES) is not None
    return _s3_operation(method, names, is_copy=is_copy, is_object=path.strip("/").count("/") > 0)


def _s3_operation(method: str, names: dict[str, list[str]], *, is_copy: bool, is_object: bool) -> str:
    if method == "POST" and "uploads" in names:
        return "CreateMultipartUpload"
    if method == "POST" and "delete" in names:
        return "DeleteObjects"
    if "uploadId" in names:
        part = "UploadPartCopy" if is_copy else "UploadPart"
        known = {"PUT": part, "POST": "CompleteMultipartUpload", "GET": "ListParts", "DELETE": "AbortMultipartUpload"}
        return known.get(method, method)
    if not is_object:
        return {"GET": "ListMultipartUploads" if "uploads" in names else "ListObjects"}.get(method, f"{method} bucket")
    verb = {"GET": "Get", "HEAD": "Head", "PUT": "Copy" if is_copy else "Put", "DELETE": "Delete"}
    return f"{verb[method]}Object" if method in verb else method


class CountedLine(NetworkProxy):
    """A line that counts the requests of its clients by operation."""

    def __init__(self, host: str, port: int, network: Network, listen_port: int = 0) -> None:
        super().__init__(host, port, network, listen_port)
        self.operations: Counter[str] = Counter()
        """Requests so far, by operation."""

    def observe(self, data: bytes) -> None:
        """Count the request that begins with this piece of a connection, if one does.

        A client without pipelining sends a request only after the response before, so each request begins a piece.
        """
        operation = operation_of(data)
        if operation is not None:
            self.operations[operation] += 1

    def counts(self) -> dict[str, Any]:
        """Return what has passed so far."""
        return {
            "operations": dict(sorted(self.operations.items())),
            "bytes_up": self.bytes_up,
            "bytes_down": self.bytes_down,
            "connections": self.connections,
        }


def main() -> None:
    """Run both lines until the process is stopped, and write what passes them to a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=parse, default=AwsDelays())
    parser.add_argument("--counts", type=Path, required=True, help="the file to write counters to, as JSON")
    for service in SERVICES:
        parser.add_argument(f"--{service}", type=int, nargs=2, required=True, metavar=("PORT", "SERVER_PORT"))
    options = parser.parse_args()
    ports = {service: getattr(options, service) for service in SERVICES}
    lines = {
        service: CountedLine("127.0.0.1", server, options.model.network(service), port)
        for service, (port, server) in ports.items()
    }
    with lines["s3"], lines["dynamodb"], suppress(KeyboardInterrupt):
        _write_counts(options.counts, lines)


def _write_counts(path: Path, lines: dict[str, CountedLine]) -> None:
    """Write the counters again each time that they have changed, until the process is stopped."""
    written, pause = "", threading.Event()
    while True:
        text = json.dumps({service: line.counts() for service, line in lines.items()})
        if text != written:
            draft = path.with_suffix(".new")
            draft.write_text(text, encoding="utf-8")
            draft.replace(path)
            written = text
        pause.wait(_WRITE_SECONDS)


def read_counts(path: Path) -> dict[str, Any]:
    """Return the counters once they have been written after this call."""
    time.sleep(3 * _WRITE_SECONDS)
    counts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return counts


if __name__ == "__main__":
    main()
