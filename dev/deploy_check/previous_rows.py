"""Write the rows and objects of the previous version, as its functions wrote them, into a deployed stack."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

import boto3

from dev.deploy_check.functions import s3_in_memory
from dev.deploy_check.stacks import Stack
from dev.paths import ROOT
from ferry.auth.key_cache import thumbprint
from ferry.aws.kms import KmsSigner
from ferry.model.uploads import object_key

PREVIOUS_STACK = ROOT / "dev" / "deploy_check" / "previous_stack"
"""Templates and rows of the previous version; its README says which."""
TABLES = ("MetadataTable", "AuthTable")
"""The logical ids of the tables that have rows."""
CONTENT = bytes(range(256)) * 400
"""The bytes of the finished file, and of the half-sent one."""
CHUNK_SIZE = 65_536
"""The chunk size of both uploads: the content is two chunks."""
FINISHED_NAME, HALF_SENT_NAME = "finished.bin", "half.bin"
CONTENT_TYPE, METADATA = "application/x-sample", {"camera": "7"}

_SECONDS = ("ttl", "last_modified_seconds")
"""Attributes that are times in seconds. Other times are in milliseconds."""
_TIME_WINDOW_MS = 90 * 24 * 3_600_000
"""Numbers this close to the time of the recording are times."""


def write_previous_data(stack: Stack) -> None:
    """Write the recorded rows to the stack's tables and their bytes to its bucket, as if they were recorded now."""
    recorded = json.loads((PREVIOUS_STACK / "rows.json").read_text(encoding="utf-8"))
    multiparts = _write_objects(stack.resources["Bucket"], recorded)
    delta_ms = time.time_ns() // 1_000_000 - recorded["recorded_at"]
    dynamodb = boto3.client("dynamodb")
    for table in TABLES:
        for row in recorded["tables"][table]:
            moved = {name: _move(name, value, recorded["recorded_at"], delta_ms) for name, value in row.items()}
            if "multipart_id" in moved:
                old_id = moved["multipart_id"]["S"]
                moved["multipart_id"]["S"] = multiparts.get(old_id, old_id)
            if row["pk"]["S"] == "KEY_SET":
                _use_key(moved, stack.resources["SigningKey"])
            dynamodb.put_item(TableName=stack.resources[table], Item=moved)


def _write_objects(bucket: str, recorded: Mapping[str, Any]) -> dict[str, str]:
    """Write the objects, the staged chunks and the multipart uploads.

    Returns:
        The new multipart ids by the recorded ones.
    """
    s3, multiparts = s3_in_memory(), {}
    for key in recorded["staged_keys"]:
        first = int(key.rpartition("/")[2].partition("-")[0]) - 1
        s3.put_object(Bucket=bucket, Key=key, Body=CONTENT[first * CHUNK_SIZE : (first + 1) * CHUNK_SIZE])
    for row in recorded["tables"]["MetadataTable"]:
        if "multipart_id" not in row:
            continue
        target = {"Bucket": bucket, "Key": object_key(row["upload_id"]["S"])}
        upload_id = s3.create_multipart_upload(**target, ChecksumAlgorithm="CRC32C", ChecksumType="FULL_OBJECT")[
            "UploadId"
        ]
        multiparts[row["multipart_id"]["S"]] = upload_id
        if row["state"]["S"] == "complete":
            part = s3.upload_part(**target, UploadId=upload_id, PartNumber=1, Body=CONTENT)
            parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
            s3.complete_multipart_upload(**target, UploadId=upload_id, MultipartUpload={"Parts": parts})
    return multiparts


def _move(name: str, value: Any, recorded_at: int, delta_ms: int) -> Any:
    """Return an attribute with its times moved by `delta_ms`, and its binary values decoded."""
    (kind, content) = next(iter(value.items()))
    if kind == "M":
        return {"M": {key: _move(key, item, recorded_at, delta_ms) for key, item in content.items()}}
    if kind == "L":
        return {"L": [_move(name, item, recorded_at, delta_ms) for item in content]}
    if kind == "B":
        return {"B": base64.b64decode(content)}
    if kind != "N":
        return value
    number, unit = int(content), 1000 if name in _SECONDS else 1
    is_time = abs(number * unit - recorded_at) < _TIME_WINDOW_MS
    return {"N": str(number + delta_ms // unit)} if is_time else value


def _use_key(key_set: dict[str, Any], key_id: str) -> None:
    """Replace the recorded signing key by the stack's own."""
    jwk = KmsSigner(boto3.client("kms")).public_jwk(key_id)
    kid = thumbprint(jwk)
    (key,) = key_set["keys"]["L"]
    key["M"] |= {
        "jwk": {"M": {name: {"S": value} for name, value in jwk.items()}},
        "key_ref": {"S": key_id},
        "kid": {"S": kid},
    }
    key_set["signing_kid"] = {"S": kid}
