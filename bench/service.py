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

from local import stack, template
from local.api import Api
from local.emulator import platform_environment
from local.launch import ROOT, Launched
from local.stack import Function, Stack


@dataclass(frozen=True, slots=True)
class Service:
    """A running service. `stack` is its template, resolved for its backends; `credentials` are theirs."""

    launched: Launched
    stack: Stack
    credentials: dict[str, str]

    @property
    def described(self) -> dict[str, Any]:
        return self.launched.described

    def api(self) -> Api:
        """The API, as the client `demo`."""
        client = self.described["clients"][0]
        return Api(self.described["base_url"]).log_in(client["client_id"], client["client_secret"])

    def environment(self, function: Function) -> dict[str, str]:
        """What the function finds in its environment on Lambda, but for the import path and the runtime's address."""
        return platform_environment(function, self.credentials)


@contextmanager
def running(*options: str) -> Iterator[Service]:
    """A service over a folder of its own, gone afterwards. Raises `local.errors.LocalError`."""
    folder = Path(tempfile.mkdtemp(prefix="ferry-bench-"))
    try:
        launched = Launched(folder / "state", options=options)
        try:
            yield _service(launched)
        finally:
            launched.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _service(launched: Launched) -> Service:
    known = json.loads((launched.state / "backends.json").read_text(encoding="utf-8"))
    described = launched.described
    tables = described["dynamodb_endpoint"]
    endpoints = f"s3={described['s3_endpoint']},dynamodb={tables},kms={tables}"
    resolved = stack.read(
        template.load(ROOT / "template.yaml"), ROOT, {"Endpoints": endpoints}, references=known["keys"]
    )
    credentials = {"AWS_ACCESS_KEY_ID": known["access_key"], "AWS_SECRET_ACCESS_KEY": known["secret_key"]}
    return Service(launched, resolved, credentials)
