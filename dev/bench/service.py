"""A local service of its own for a measurement, and its functions as they would be deployed."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.local import stack, template
from dev.local.client import FerryClient
from dev.local.emulator import platform_environment
from dev.local.launcher import LocalService
from dev.local.stack import Function, Stack
from dev.paths import ROOT


@dataclass(frozen=True, slots=True)
class BenchService:
    """A running service. `stack` is its template, resolved for its backends; `credentials` are theirs."""

    local_service: LocalService
    stack: Stack
    credentials: dict[str, str]

    @property
    def connection_info(self) -> dict[str, Any]:
        return self.local_service.connection_info

    def client(self) -> FerryClient:
        """The API, as the client `demo`."""
        client = self.connection_info["clients"][0]
        return FerryClient(self.connection_info["base_url"]).authenticate(client["client_id"], client["client_secret"])

    def environment(self, function: Function) -> dict[str, str]:
        """What the function finds in its environment on Lambda, but for the import path and the runtime's address."""
        return platform_environment(function, self.credentials)


@contextmanager
def running_service(*options: str) -> Iterator[BenchService]:
    """A service over a folder of its own, gone afterwards. Raises `dev.local.errors.LocalError`."""
    folder = Path(tempfile.mkdtemp(prefix="ferry-bench-"))
    try:
        launched = LocalService(folder / "state", options=options)
        try:
            yield _bench_service(launched)
        finally:
            launched.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _bench_service(local_service: LocalService) -> BenchService:
    known = json.loads((local_service.state_folder / "backends.json").read_text(encoding="utf-8"))
    described = local_service.connection_info
    tables = described["dynamodb_endpoint"]
    endpoints = f"s3={described['s3_endpoint']},dynamodb={tables},kms={tables}"
    resolved = stack.resolve_stack(
        template.load_template(ROOT / "template.yaml"),
        ROOT,
        {},
        references=known["keys"],
        environment={"FERRY_ENDPOINTS": endpoints},
    )
    credentials = {"AWS_ACCESS_KEY_ID": known["access_key"], "AWS_SECRET_ACCESS_KEY": known["secret_key"]}
    return BenchService(local_service, resolved, credentials)
