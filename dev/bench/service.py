"""Run a local service for a benchmark and resolve its functions' deployed environment."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from dev.local import stack, template
from dev.local.client import FerryClient
from dev.local.emulator import platform_environment
from dev.local.launcher import LocalService
from dev.local.stack import Function, Stack
from dev.paths import ROOT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class BenchService:
    """A running local service."""

    local_service: LocalService
    """The started service."""

    stack: Stack
    """template.yaml, resolved for the service's backends."""

    credentials: dict[str, str]
    """The backends' access key, as environment variables."""

    @property
    def connection_info(self) -> dict[str, Any]:
        return self.local_service.connection_info

    def client(self) -> FerryClient:
        """Return an API client that is authenticated as `demo`."""
        client = self.connection_info["clients"][0]
        return FerryClient(self.connection_info["base_url"]).authenticate(client["client_id"], client["client_secret"])

    def create_bucket(self, name: str) -> S3Client:
        """Create a bucket beside Ferry's, for a contender, and return a client of the S3 server."""
        client: S3Client = boto3.client(
            "s3",
            endpoint_url=self.connection_info["s3_endpoint"],
            region_name="us-east-1",
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket=name)
        return client

    def environment(self, function: Function) -> dict[str, str]:
        """Return the function's environment on Lambda, without the import path and the runtime API's address."""
        return platform_environment(function, self.credentials)


@contextmanager
def running_service(*options: str) -> Iterator[BenchService]:
    """Run a service over a temporary folder. Raises `dev.local.errors.LocalError`."""
    folder = Path(tempfile.mkdtemp(prefix="ferry-bench-"))
    try:
        local_service = LocalService(folder / "state", options=options)
        try:
            yield _bench_service(local_service)
        finally:
            local_service.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bench_service(local_service: LocalService) -> BenchService:
    backends = json.loads((local_service.state_folder / "backends.json").read_text(encoding="utf-8"))
    connection_info = local_service.connection_info
    dynamodb = connection_info["dynamodb_endpoint"]
    endpoints = f"s3={connection_info['s3_endpoint']},dynamodb={dynamodb},kms={dynamodb}"
    resolved = stack.resolve_stack(
        template.load_template(ROOT / "template.yaml"),
        ROOT,
        {},
        references=backends["keys"],
        environment={"FERRY_ENDPOINTS": endpoints},
    )
    credentials = {"AWS_ACCESS_KEY_ID": backends["access_key"], "AWS_SECRET_ACCESS_KEY": backends["secret_key"]}
    return BenchService(local_service, resolved, credentials)
