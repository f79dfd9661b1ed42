"""Run the end-to-end tests on functions in containers behind `sam local start-api`, instead of on the local service."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

from dev.docker.errors import SamError
from dev.docker.start_api import SamService
from dev.paths import ROOT

SERVICE_FOLDER_VARIABLE = "FERRY_E2E_SERVICE"
"""The variable that gives tests/e2e the folder with `ferry.json` and `backends.json` of the service to test."""


def run(service: SamService) -> None:
    """Run the tests. Raises `SamError` when one fails; pytest has printed which one, and why."""
    folder = service.folder / "seen"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(service.folder / "backends.json", folder / "backends.json")
    connection_info = json.loads((service.folder / "ferry.json").read_text(encoding="utf-8"))
    (folder / "ferry.json").write_text(json.dumps({**connection_info, "base_url": service.base_url}), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "tests/e2e", "-p", "no:cacheprovider"]
    env = {**os.environ, SERVICE_FOLDER_VARIABLE: str(folder)}
    if subprocess.run(command, cwd=ROOT, env=env, check=False).returncode:
        raise SamError("the end-to-end tests failed; pytest's report is above")
