"""`sam local invoke`: every event of `events/` once, each in a container of its own, and what must come of it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from dev.docker.errors import SamError
from dev.docker.start_api import SamService
from dev.local.client import FerryClient
from dev.paths import ROOT

EVENTS_FOLDER = ROOT / "events"
PLACEHOLDER_HEADER = "Bearer put-a-token-here"


@dataclass(frozen=True, slots=True)
class InvocationCase:
    """`status` is the answer's, None where the platform calls and no client waits; `members` are in what comes back."""

    event: str
    function: str
    status: int | None
    required_members: frozenset[str]


INVOCATION_CASES = (
    InvocationCase("auth", "AuthFunction", 200, frozenset({"keys"})),
    InvocationCase("upload", "UploadFunction", 201, frozenset({"upload_id", "chunk_size"})),
    InvocationCase("status", "StatusFunction", 200, frozenset({"state", "missing"})),
    InvocationCase("download", "DownloadFunction", 404, frozenset({"code", "request_id"})),
    InvocationCase("cleanup", "CleanupFunction", 200, frozenset({"examined", "dry_run"})),
    InvocationCase("cleanup-sweep", "CleanupFunction", None, frozenset({"examined", "complete"})),
    InvocationCase("cleanup-continue-completion", "CleanupFunction", None, frozenset()),
)


def run(service: SamService) -> None:
    """Raises `SamError` on the first answer that is not as it must be."""
    client = next(client for client in service.clients if client["client_id"] == "demo")
    token = FerryClient(service.base_url).authenticate(client["client_id"], client["client_secret"]).token
    for case in INVOCATION_CASES:
        answer = _invoke(service, case, token)
        status = answer.get("statusCode")
        content = json.loads(answer["body"]) if case.status is not None and answer.get("body") else answer
        if status != case.status or not case.required_members <= content.keys() or "errorMessage" in answer:
            raise SamError(f"{case.function} made this of events/{case.event}.json: {json.dumps(answer)[:800]}")
        print(f"events/{case.event}.json: {case.function} answered {status or 'nobody, as it should'}")


def _invoke(service: SamService, case: InvocationCase, token: str) -> dict[str, Any]:
    event = (
        (EVENTS_FOLDER / f"{case.event}.json")
        .read_text(encoding="utf-8")
        .replace(PLACEHOLDER_HEADER, f"Bearer {token}")
    )
    command = ["sam", "local", "invoke", case.function, "--event", "-", *service.container_options]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(service.environment), input=event, capture_output=True, text=True, check=False
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        sys.stderr.write(done.stderr)
        raise SamError(f"`{' '.join(command[:4])}` gave no answer to events/{case.event}.json") from None
    return answer
