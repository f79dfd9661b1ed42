"""The servers that these tests run on, each on free ports of the loopback interface, ended with whoever started it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local import objects, sockets
from local.children import leashed
from sam.children import child, wait_for
from tests.backends import emulator, localstack
from tests.conftest import DUMMY
from tests.support.template import make_bucket, make_table

READY_SECONDS = 90.0
WARM = "warm-up"
"""A first request takes a server longer than Ferry's clients wait."""

KEYS = {name: DUMMY[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}

PATIENTLY: dict[str, Any] = {
    "region_name": DUMMY["AWS_REGION"],
    "aws_access_key_id": KEYS["AWS_ACCESS_KEY_ID"],
    "aws_secret_access_key": KEYS["AWS_SECRET_ACCESS_KEY"],
    "config": Config(read_timeout=READY_SECONDS, retries={"total_max_attempts": 1}),
}


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """S3 as SeaweedFS has it: the address."""
    services = ("s3", "master", "volume", "filer", "admin")
    ports = dict(zip(services, sockets.free_pairs(len(services), ()), strict=True))
    data = folder / "seaweedfs"
    data.mkdir(parents=True)
    command = [str(objects.find()), "mini", *objects.options(data, ports)]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(data), **KEYS}
    with _serving("SeaweedFS", command, env, ports["s3"], folder) as address:
        s3 = boto3.client("s3", endpoint_url=address, **PATIENTLY)
        make_bucket(s3, WARM)
        s3.put_object(Bucket=WARM, Key="first", Body=b"x")
        yield address


@contextmanager
def dynamodb_local(folder: Path) -> Iterator[str]:
    """DynamoDB Local: the address."""
    [port] = sockets.free_ports(1)
    command, env = emulator.command(port), emulator.environment()
    with _serving("DynamoDB Local", command, env, port, folder) as address:
        make_table(boto3.client("dynamodb", endpoint_url=address, **PATIENTLY), "LedgerTable", WARM)
        yield address


@contextmanager
def localstack_s3(folder: Path) -> Iterator[str]:
    """S3 as LocalStack has it: the address."""
    [port] = sockets.free_ports(1)
    home = folder / "localstack"
    home.mkdir()
    command, env = localstack.command(), localstack.environment(home, port)
    with _serving("LocalStack", command, env, port, folder) as address:
        yield address


@contextmanager
def _serving(what: str, command: Sequence[str], env: Mapping[str, str], port: int, folder: Path) -> Iterator[str]:
    log = folder / f"{what}.log"
    with child(leashed(command, parent=os.getpid()), env=env, log=log) as process:
        wait_for(lambda: not sockets.is_free(port), process, what=what, log=log, seconds=READY_SECONDS)
        yield f"http://{sockets.HOST}:{port}"
