"""Run ministack, the CloudFormation emulator."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

from dev.docker import start_api
from dev.docker.processes import managed_process, wait_for
from dev.local.stack import REGION

START_TIMEOUT_SECONDS = 60


@contextmanager
def ministack(work_folder: Path) -> Iterator[str]:
    """Run ministack on a free port, with its state and its log in a folder, and return its URL.

    Inside the block, the environment points every AWS client to it.
    """
    port, log = start_api.free_port(), work_folder / "ministack.log"
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "STATE_DIR": str(work_folder / "state")}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    url = f"http://127.0.0.1:{port}"
    before = dict(os.environ)
    with managed_process([sys.executable, "-m", "ministack"], env={**inherited, **settings}, log_path=log) as process:
        wait_for(
            lambda: _is_reachable(url), process, name="ministack", log_path=log, timeout_seconds=START_TIMEOUT_SECONDS
        )
        os.environ.update(
            {
                "AWS_ENDPOINT_URL": url,
                "AWS_ACCESS_KEY_ID": "deploy-check",
                "AWS_SECRET_ACCESS_KEY": "deploy-check",
                "AWS_DEFAULT_REGION": REGION,
                "SAM_CLI_TELEMETRY": "0",
            }
        )
        # A session keeps the credentials that it has found first.
        boto3.setup_default_session()
        try:
            yield url
        finally:
            os.environ.clear()
            os.environ.update(before)
            boto3.setup_default_session()


def _is_reachable(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
