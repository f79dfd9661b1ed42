"""Run `sam local invoke` once for each event of `events/`, each in a container of its own, and check the response."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from dev.docker.errors import SamError
from dev.docker.start_api import HAS_IMAGES_VARIABLE, SamService
from dev.local.client import FerryClient
from dev.paths import ROOT

EVENTS_FOLDER = ROOT / "events"
PLACEHOLDER_HEADER = "Bearer put-a-token-here"


@dataclass(frozen=True, slots=True)
class InvocationCase:
    """An event, and what the function must return for it."""

    event: str
    """The name of the file in `events/`, without `.json`."""
    function: str
    """The function's logical id."""
    status: int | None
    """The status of the HTTP response, or None for an event that is no HTTP request."""
    required_members: frozenset[str]
    """Members of the response's JSON body, or of the returned object where there is no HTTP response or no body."""


INVOCATION_CASES = (
    InvocationCase("auth", "AuthFunction", 200, frozenset({"keys"})),
    InvocationCase("upload", "UploadFunction", 201, frozenset({"upload_id", "chunk_size"})),
    InvocationCase("resumable", "ResumableFunction", 201, frozenset({"headers"})),
    InvocationCase("files", "FilesFunction", 200, frozenset({"files"})),
    InvocationCase("status", "StatusFunction", 200, frozenset({"state", "missing"})),
    InvocationCase("download", "DownloadFunction", 404, frozenset({"code", "request_id"})),
    InvocationCase("links", "LinksFunction", 200, frozenset({"links"})),
    InvocationCase("web", "WebFunction", 302, frozenset({"headers"})),
    InvocationCase("cleanup", "CleanupFunction", 200, frozenset({"examined", "dry_run"})),
    InvocationCase("cleanup-sweep", "CleanupFunction", None, frozenset({"examined", "complete"})),
    InvocationCase("cleanup-continue-completion", "CleanupFunction", None, frozenset()),
)


def run(service: SamService) -> None:
    """Invoke every case. Raises `SamError` on the first unexpected response."""
    client = next(client for client in service.clients if client["client_id"] == "demo")
    token = FerryClient(service.base_url).authenticate(client["client_id"], client["client_secret"]).token
    for case in INVOCATION_CASES:
        returned = _invoke(service, case, token)
        status = returned.get("statusCode")
        content = json.loads(returned["body"]) if case.status is not None and returned.get("body") else returned
        if status != case.status or not case.required_members <= content.keys() or "errorMessage" in returned:
            raise SamError(
                f"{case.function} returned this for events/{case.event}.json, instead of status {case.status} with "
                f"{', '.join(sorted(case.required_members))}: {json.dumps(returned)[:800]}"
            )
        print(f"events/{case.event}.json: {case.function} returned {status or 'its result'}")


def _invoke(service: SamService, case: InvocationCase, token: str) -> dict[str, Any]:
    # Imported here: it loads SAM CLI, which takes a second, and tests read the cases of this module.
    from dev.docker import quick_sam_cli

    event = (
        (EVENTS_FOLDER / f"{case.event}.json")
        .read_text(encoding="utf-8")
        .replace(PLACEHOLDER_HEADER, f"Bearer {token}")
    )
    arguments = ["local", "invoke", case.function, "--event", "-", *service.container_options]
    # The service has built the image of all functions.
    env = {**service.environment, HAS_IMAGES_VARIABLE: "yes"}
    output, log = quick_sam_cli.run_in_fork(arguments, env=env, text=event)
    try:
        returned: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
    except (IndexError, ValueError):
        sys.stderr.write(log)
        raise SamError(f"`sam local invoke {case.function}` returned nothing for events/{case.event}.json") from None
    return returned
