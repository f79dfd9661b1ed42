"""The end-to-end tests, on functions in containers behind `sam local start-api` instead of the local service."""

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
"""Tells tests/e2e the folder that describes what they are to talk to."""


def run(service: SamService) -> None:
    """Raises `SamError` when a test fails; which, and why, has been printed."""
    folder = service.folder / "seen"
    folder.mkdir(exist_ok=True)
    shutil.copyfile(service.folder / "backends.json", folder / "backends.json")
    described = json.loads((service.folder / "ferry.json").read_text(encoding="utf-8"))
    (folder / "ferry.json").write_text(json.dumps({**described, "base_url": service.base_url}), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "tests/e2e", "-p", "no:cacheprovider"]
    if subprocess.run(
        command, cwd=ROOT, env={**os.environ, SERVICE_FOLDER_VARIABLE: str(folder)}, check=False
    ).returncode:
        raise SamError("the end-to-end tests failed")
