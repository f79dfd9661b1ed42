"""Start the servers on free ports of the loopback interface. They exit with the process that started them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from dev.docker.processes import managed_process, wait_for
from dev.local import s3_server, tcp_ports
from dev.local.processes import die_with_parent_command
from dev.testing.aws_environment import DUMMY_ENVIRONMENT
from dev.testing.template import create_bucket, create_table
from tests.backends import dynamodb_local as dynamodb_local_server
from tests.backends import localstack

READY_TIMEOUT_SECONDS = 90.0
WARMUP_NAME = "warm-up"
"""Bucket and table of the first request, which takes a server longer than the timeout of Ferry's clients."""

CREDENTIALS = {name: DUMMY_ENVIRONMENT[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}

CLIENT_OPTIONS: dict[str, Any] = {
    "region_name": DUMMY_ENVIRONMENT["AWS_REGION"],
    "aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"],
    "aws_secret_access_key": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    "config": Config(read_timeout=READY_TIMEOUT_SECONDS, retries={"total_max_attempts": 1}),
}


MAX_VOLUMES = 10_000
"""Volumes that SeaweedFS may make: more than the tests have buckets. An empty one takes no space."""


@contextmanager
def seaweedfs(folder: Path) -> Iterator[str]:
    """Run SeaweedFS and yield its URL."""
    services = ("s3", "master", "volume", "filer", "admin")
    ports = dict(zip(services, tcp_ports.free_port_pairs(len(services), ()), strict=True))
    data = folder / "seaweedfs"
    data.mkdir(parents=True)
    # Each bucket has volumes of its own. Without this option there are as many as the free disk space would fill.
    options = [*s3_server.server_options(data, ports), f"-volume.max={MAX_VOLUMES}"]
    command = [str(s3_server.find_binary()), "mini", *options]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(data), **CREDENTIALS}
    with _running("SeaweedFS", command, env, ports["s3"], folder) as url:
        s3 = boto3.client("s3", endpoint_url=url, **CLIENT_OPTIONS)
        create_bucket(s3, WARMUP_NAME)
        s3.put_object(Bucket=WARMUP_NAME, Key="first", Body=b"x")
        yield url


@contextmanager
def dynamodb_local(folder: Path) -> Iterator[str]:
    """Run DynamoDB Local and yield its URL."""
    dynamodb_local_server.fetch()
    [port] = tcp_ports.free_ports(1)
    command, env = dynamodb_local_server.command(port), dynamodb_local_server.environment()
    with _running("DynamoDB Local", command, env, port, folder) as url:
        create_table(boto3.client("dynamodb", endpoint_url=url, **CLIENT_OPTIONS), "MetadataTable", WARMUP_NAME)
        yield url


@contextmanager
def localstack_s3(folder: Path) -> Iterator[str]:
    """Run LocalStack's S3 and yield its URL."""
    localstack.install()
    [port] = tcp_ports.free_ports(1)
    home = folder / "localstack"
    home.mkdir()
    command, env = localstack.command(), localstack.environment(home, port)
    with _running("LocalStack", command, env, port, folder) as url:
        yield url


@contextmanager
def _running(name: str, command: Sequence[str], env: Mapping[str, str], port: int, folder: Path) -> Iterator[str]:
    log = folder / f"{name}.log"
    with managed_process(die_with_parent_command(command, parent_pid=os.getpid()), env=env, log_path=log) as process:
        wait_for(
            lambda: not tcp_ports.is_free(port), process, name=name, log_path=log, timeout_seconds=READY_TIMEOUT_SECONDS
        )
        yield f"http://{tcp_ports.HOST}:{port}"
