"""Schemathesis over docs/openapi.json against the local service: finds no 5xx and no answer that is not documented.

`python -m tools.fuzz [--seed N] [--seconds N]`. The seed is printed, and the same one asks the same questions, as far
as the time goes. What the requests are about exists: `tools.fuzz_hooks` puts what is there into them.
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

from local.api import Api, must
from local.launch import Launched

ROOT = Path(__file__).resolve().parent.parent
SEED = 6749
SECONDS = 120
KIB64 = 64 * 1024
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
# The fuzzer is to meet uploads that are over, too.
PARAMETERS = "SessionIdleTimeout=45"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description="Fuzz the API on this machine.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--seconds", type=int, default=SECONDS)
    given = parser.parse_args(arguments)
    print(f"fuzzing for {given.seconds} s; again with: python -m tools.fuzz --seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        service = Launched(Path(folder) / "state", parameters=PARAMETERS)
        try:
            code = _fuzz(service, seed=given.seed, seconds=given.seconds)
        finally:
            service.stop()
        if "Traceback" in service.log():
            print(service.log()[-10_000:])
            return 1
    return code


def _fuzz(service: Launched, *, seed: int, seconds: int) -> int:
    described = service.described
    client = described["clients"][0]
    api = Api(described["base_url"]).log_in(client["client_id"], client["client_secret"])
    known = _some_files(api)
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "run", "docs/openapi.json", "--url", api.base_url),
        *("--header", f"Authorization: Bearer {api.token}", "--checks", ",".join(CHECKS)),
        *("--seed", str(seed), "--max-time", str(seconds), "--workers", "1"),
        *("--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure", "--warnings", "off"),
        *("--request-timeout", "60", "--max-redirects", "0", "--no-color"),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tools.fuzz_hooks",
        "FUZZ_KNOWN": json.dumps(known),
    }
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _some_files(api: Api) -> dict[str, list[str]]:
    """A finished file, an upload half done, one straight to S3, and a cancelled one."""
    ids = []
    for name, chunks in (("finished", 2), ("half", 1), ("direct", 0), ("cancelled", 0), ("partial", 2)):
        plan = must(api.start(name, KIB64 + 5, chunk_size=KIB64, fingerprint=name), 201, "start").json
        ids.append(plan["upload_id"])
        for index in range(1, chunks + 1):
            must(api.send_chunk(name, index, bytes(KIB64 if index == 1 else 5)), 200, "chunk")
    must(api.complete("finished"), 200, "complete")
    must(api.complete("partial"), 200, "complete")
    must(api.sign("direct", 1), 200, "sign")
    must(api.request("DELETE", "/upload/cancelled"), 204, "cancel")
    return {"names": ["finished", "half", "direct", "cancelled", "partial"], "upload_ids": ids}


if __name__ == "__main__":
    raise SystemExit(main())
