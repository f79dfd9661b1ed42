"""Record what this checkout's functions write, for later versions to read: `python -m dev.deploy_check.record FOLDER`.

It deploys the template, uploads one file and half of another, and writes `rows.json`, `template.yaml` and
`monitoring.yaml` to the folder. The rows contain no bytes of files: `dev.deploy_check.previous_rows` makes them again.
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3

from dev.deploy_check import stacks
from dev.deploy_check.functions import StackFunctions, objects_in_memory, s3_in_memory
from dev.deploy_check.ministack import ministack
from dev.deploy_check.previous_rows import (
    CHUNK_SIZE,
    CONTENT,
    CONTENT_TYPE,
    FINISHED_NAME,
    HALF_SENT_NAME,
    METADATA,
    TABLES,
)
from dev.paths import ROOT

TEMPLATES = ("template.yaml", "monitoring.yaml")


def main() -> int:
    """Write the three files and return 0."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for name in TEMPLATES:
        shutil.copy(ROOT / name, target / name)
    with tempfile.TemporaryDirectory() as work_folder, ministack(Path(work_folder)):
        stacks.create_artifacts_bucket()
        stack = stacks.create_stack("recorded", stacks.expand(stacks.package_folder(ROOT), {}).template, {})
        with objects_in_memory(stack):
            _upload(StackFunctions(stack))
            recorded = {
                "recorded_at": time.time_ns() // 1_000_000,
                "staged_keys": _staged_keys(stack.resources["Bucket"]),
                "tables": {table: _scan(stack.resources[table]) for table in TABLES},
            }
    text = json.dumps(recorded, indent=1, sort_keys=True, default=_to_base64)
    (target / "rows.json").write_text(text + "\n", encoding="utf-8")
    return 0


def _upload(functions: StackFunctions) -> None:
    """Upload one file, and the first chunk of another."""
    functions.add_client()
    functions.authenticate()
    for name, chunk_count in ((FINISHED_NAME, 2), (HALF_SENT_NAME, 1)):
        start = {"filename": name, "size": len(CONTENT), "chunk_size": CHUNK_SIZE, "content_type": CONTENT_TYPE}
        functions.json("POST", "/upload/start", {**start, "metadata": METADATA})
        for index in range(chunk_count):
            chunk = CONTENT[index * CHUNK_SIZE : (index + 1) * CHUNK_SIZE]
            functions.json("POST", "/upload/chunk", chunk, filename=name, chunk_index=str(index + 1))
    functions.json("POST", "/upload/complete", {"filename": FINISHED_NAME})


def _scan(table: str) -> list[Any]:
    rows: list[Any] = boto3.client("dynamodb").scan(TableName=table)["Items"]
    return sorted(rows, key=lambda row: json.dumps([row["pk"], row.get("sk")]))


def _to_base64(value: bytes) -> str:
    """Return a binary attribute as DynamoDB's JSON has it."""
    return base64.b64encode(value).decode()


def _staged_keys(bucket: str) -> list[str]:
    found = s3_in_memory().list_objects_v2(Bucket=bucket, Prefix="st/").get("Contents", [])
    return [entry["Key"] for entry in found]


if __name__ == "__main__":
    sys.exit(main())
