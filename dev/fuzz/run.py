"""Fuzz the local service with Schemathesis: `python -m dev.fuzz.run [--seed N] [--seconds N]`.

It fails for a 5xx and for a response that docs/openapi.json does not describe. The same seed sends the same requests.
`dev.fuzz.hooks` puts the names of existing files and uploads into them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dev.local.client import FerryClient, expect
from dev.local.launcher import LocalService
from dev.paths import ROOT

DEFAULT_SEED = 6749
DEFAULT_SECONDS = 120
CHUNK_BYTES = 64 * 1024
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
EXAMPLE_TYPE = '"content_type": "text/plain; charset=utf-8"'
"""The type of files in the examples of the OpenAPI document."""
PARAMETERS = "UploadIdleTimeoutSeconds=45"
"""Short enough for some uploads to expire during a run."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.fuzz.run", description="Fuzz the API on this machine.")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--seconds", type=int, default=DEFAULT_SECONDS)
    options = parser.parse_args(arguments)
    print(f"fuzzing for {options.seconds} s; repeat with: python -m dev.fuzz.run --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        service = LocalService(Path(folder) / "state", parameters=PARAMETERS)
        try:
            document = _write_document(Path(folder))
            code = _run_schemathesis(service, document, seed=options.seed, seconds=options.seconds)
        finally:
            service.stop()
        if "Traceback" in service.read_log():
            print(service.read_log()[-10_000:])
            return 1
    return code


def _write_document(folder: Path) -> Path:
    """Write the OpenAPI document with files of one type in its examples, and return its path.

    A download has the type of its file, and the document describes it as octet-stream. A file that an example creates
    is downloaded by other examples.
    """
    text = (ROOT / "docs/openapi.json").read_text(encoding="utf-8")
    path = folder / "openapi.json"
    path.write_text(text.replace(EXAMPLE_TYPE, '"content_type": "application/octet-stream"'), encoding="utf-8")
    return path


def _run_schemathesis(service: LocalService, document: Path, *, seed: int, seconds: int) -> int:
    connection = service.connection_info
    client = connection["clients"][0]
    api = FerryClient(connection["base_url"]).authenticate(client["client_id"], client["client_secret"])
    existing = _create_files(api)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", str(document), "--url", api.base_url),
        *("--header", f"Authorization: Bearer {api.token}", "--checks", ",".join(CHECKS)),
        *("--seed", str(seed), "--max-time", str(seconds), "--workers", "1"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--warnings", "off"),
        *("--request-timeout", "60", "--max-redirects", "0", "--no-color"),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "dev.fuzz.hooks",
        "FUZZ_EXISTING": json.dumps(existing),
    }
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _create_files(api: FerryClient) -> dict[str, list[str]]:
    """Create files and uploads in several states. Return their names and upload ids."""
    ids = []
    for name, chunks in (("finished", 2), ("half", 1), ("direct", 0), ("cancelled", 0), ("partial", 2)):
        plan = expect(api.start(name, CHUNK_BYTES + 5, chunk_size=CHUNK_BYTES, fingerprint=name), 201, "start").json
        ids.append(plan["upload_id"])
        for index in range(1, chunks + 1):
            expect(api.send_chunk(name, index, bytes(CHUNK_BYTES if index == 1 else 5)), 200, "chunk")
    expect(api.complete("finished"), 200, "complete")
    expect(api.complete("partial"), 200, "complete")
    expect(api.presign_parts("direct", 1), 200, "sign")
    expect(api.request("DELETE", "/upload/cancelled"), 204, "cancel")
    return {"names": ["finished", "half", "direct", "cancelled", "partial"], "upload_ids": ids}


if __name__ == "__main__":
    raise SystemExit(main())
